"""Pictures with words: captions, class names or tags; what image-text training reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from torch.utils.data import Dataset

from dense.datasets._files import pictures, require_directory
from dense.errors import InputError, unknown_name
from dense.images import read_image
from dense.structures import Sample

KINDS = ("class", "caption", "tags")
SPLITS = ("train", "val")
_FORM = '{"file": "images/a.jpg", "texts": ["a red apple"], "kind": "caption"}'


@dataclass(frozen=True)
class CaptionedSample(Sample):
    """A picture with its words.

    Attributes:
        texts: At least one; any of them describes the picture.
        kind: ``"class"`` (a name), ``"caption"`` (a sentence) or ``"tags"`` (loose keywords).
    """

    texts: tuple[str, ...] = ()
    kind: str = "caption"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.texts:
            raise InputError("CaptionedSample.texts must hold at least one text")


@dataclass(frozen=True)
class CaptionRecord:
    """One line of a `captions.jsonl`.

    Attributes:
        path: The picture.
        texts: Its words; the first is the main one.
        kind: See `CaptionedSample`.
        source: Which collection it comes from, if the file says.
        split: ``"train"`` or ``"val"``.
    """

    path: Path
    texts: tuple[str, ...]
    kind: str = "caption"
    source: str = ""
    split: str = "train"


class CaptionDataset(Dataset[CaptionedSample]):
    """Records → samples; pictures are read when asked for.

    Args:
        records: At least one.
        split: Keep this split alone; all if ``None``.
        without: Sources to leave out, e.g. those that are kept for tests.

    Raises:
        InputError: If nothing is left.
    """

    def __init__(
        self,
        records: Sequence[CaptionRecord],
        *,
        split: str | None = None,
        without: Sequence[str] = (),
    ) -> None:
        if split is not None and split not in SPLITS:
            raise unknown_name("split", split, SPLITS)
        self.records = [
            record
            for record in records
            if (split is None or record.split == split) and record.source not in without
        ]
        if not self.records:
            raise InputError(f"no captioned pictures are left of {len(records)} records")

    @property
    def metainfo(self) -> Mapping[str, object]:
        """`classes`: the distinct class names, sorted; empty if there are only captions."""
        return {"classes": class_names_of(self.records)}

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> CaptionedSample:
        record = self.records[index]
        return CaptionedSample(
            read_image(record.path), record.path, texts=record.texts, kind=record.kind
        )


def class_names_of(records: Sequence[CaptionRecord]) -> tuple[str, ...]:
    """Distinct class names of records, sorted."""
    return tuple(sorted({r.texts[0] for r in records if r.kind == "class"}))


def captioned_folder(
    root: str | Path, *, split: str | None = None, without: Sequence[str] = ()
) -> CaptionDataset:
    """Open a folder of one's own in whichever of three layouts it has.

    1. `captions.jsonl`, one object a line: `file`, `texts`, optional `kind`, `source`, `split`.
    2. A `.txt` file beside pictures, of the same name: one caption a line.
    3. A folder for each class, with its pictures; underscores in its name become spaces.

    Args:
        root: The folder.
        split: See `CaptionDataset`; the second and third layout have no splits: all is "train".
        without: See `CaptionDataset`.

    Raises:
        InputError: If the folder has none of these layouts, or a line is not usable.
    """
    folder = require_directory(Path(root), "the data set")
    if (folder / "captions.jsonl").is_file():
        records = read_captions(folder / "captions.jsonl")
    else:
        records = _beside(folder) or _by_folder(folder)
    if not records:
        raise InputError(
            f"no captioned pictures in {folder}: expected captions.jsonl, or a .txt beside each "
            "picture, or one folder for each class"
        )
    return CaptionDataset(records, split=split, without=without)


def read_captions(path: str | Path) -> list[CaptionRecord]:
    """Read a `captions.jsonl`; pictures are relative to its folder.

    Raises:
        InputError: If the file or a picture is missing, a line is not usable, or a name points
            outside the folder.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} as UTF-8 text, one JSON object a line") from error
    records = [
        _record(line, f"{path}, line {number}", path.parent)
        for number, line in enumerate(lines, 1)
        if line.strip()
    ]
    if not records:
        raise InputError(f"{path} is empty: expected lines such as {_FORM}")
    lost = [record.path for record in records if not record.path.is_file()]
    if lost:
        raise InputError(f"{lost[0]} is named by {path} but missing ({len(lost)} are missing)")
    return records


def _record(line: str, place: str, folder: Path) -> CaptionRecord:
    try:
        content = json.loads(line)
    except json.JSONDecodeError as error:
        raise InputError(f"{place} is not JSON ({error.msg}); expected {_FORM}") from error
    if not isinstance(content, dict) or not isinstance(content.get("file"), str):
        raise InputError(f"{place} names no file; expected {_FORM}")
    texts = content.get("texts")
    if not isinstance(texts, list) or not all(isinstance(t, str) and t.strip() for t in texts):
        raise InputError(f"{place}: texts must be a list of words; expected {_FORM}")
    if not texts:
        raise InputError(f"{place} has no texts; expected {_FORM}")
    kind, split = content.get("kind", "caption"), content.get("split", "train")
    for field, value, known in (("kind", kind, KINDS), ("split", split, SPLITS)):
        if value not in known:
            raise unknown_name(f"{field} in {place}", str(value), known)
    name = PurePosixPath(content["file"])
    if name.is_absolute() or ".." in name.parts:
        raise InputError(f"{place}: {name} must be a path below the folder of the file")
    words = tuple(text.strip() for text in texts)
    return CaptionRecord(folder / name, words, kind, str(content.get("source", "")), split)


def _beside(folder: Path) -> list[CaptionRecord]:
    records = []
    for picture in pictures(folder, recursive=True):
        note = picture.with_suffix(".txt")
        if note.is_file():
            lines = [line.strip() for line in note.read_text(encoding="utf-8-sig").splitlines()]
            texts = tuple(line for line in lines if line)
            if not texts:
                raise InputError(f"{note} holds no caption for {picture.name}")
            records.append(CaptionRecord(picture, texts))
    return records


def _by_folder(folder: Path) -> list[CaptionRecord]:
    return [
        CaptionRecord(picture, (entry.name.replace("_", " "),), "class")
        for entry in sorted(folder.iterdir())
        if entry.is_dir()
        for picture in pictures(entry, recursive=True)
    ]
