"""RefCOCO, RefCOCO+ and RefCOCOg in their authors' layout."""

from __future__ import annotations

import json
import pickle  # nosec B403  # only for a restricted Unpickler
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from dense.datasets._files import read_json, require_directory
from dense.datasets.boxes import read_boxes
from dense.datasets.referring import ReferringData, ReferringRecord, add_phrase
from dense.errors import InputError

_REFS_FORM = "a list of RefCOCO's entries with ann_id, image_id, split and sentences"


class RefCOCO(ReferringData):
    """RefCOCO, RefCOCO+ and RefCOCOg, as their authors pack them (Yu et al., ECCV 2016).

    `refs(BY).p` is a pickle: it is read by an unpickler that builds lists, dictionaries, texts and
    numbers alone and refuses anything else; a `refs(BY).json` of the same content is preferred.
    Phrases are found among all boxes that `instances.json` has for the picture, or among
    `proposals`.

    Args:
        root: Folder of one data set, e.g. `refcoco+`, with `refs(BY).p` and `instances.json`.
        images: Folder of COCO's `train2014` pictures.
        split: ``"val"``, ``"testA"``, ``"testB"``, ``"test"`` or ``"train"``.
        by: Whose split: ``"unc"`` (RefCOCO, RefCOCO+), ``"umd"`` or ``"google"`` (RefCOCOg).
        proposals: File of boxes by picture name, see `dense.datasets.boxes.read_boxes`.
        masks: Read the masks of `instances.json`, too.

    Raises:
        InputError: If files are missing or broken, or the split has no phrase.
    """

    def __init__(
        self,
        root: str | Path,
        images: str | Path,
        *,
        split: str = "val",
        by: str = "unc",
        proposals: str | Path | None = None,
        masks: bool = False,
    ) -> None:
        self.root = require_directory(Path(root), "the data set")
        folder = require_directory(Path(images), "the folder of COCO's train2014 pictures")
        refs = _read_refs(self.root, by)
        content = read_json(self.root / "instances.json", "COCO's images and annotations")
        try:
            known = sorted({str(ref["split"]) for ref in refs})
            records = _join(content, [ref for ref in refs if ref["split"] == split], folder)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{self.root}: an entry is missing or of another kind: {error}; expected "
                f"{_REFS_FORM}, and the matching instances.json"
            ) from error
        if not records:
            raise InputError(
                f"{self.root} has no phrase in the split {split!r}: its splits are "
                f"{', '.join(known) or 'none'}"
            )
        listed = None if proposals is None else read_boxes(proposals)
        super().__init__(records, proposals=listed, masks=masks)


def _join(
    content: Mapping[str, Any], refs: Iterable[Mapping[str, Any]], folder: Path
) -> list[ReferringRecord]:
    """One record a picture that some phrase speaks of."""
    names = {row["id"]: str(row["file_name"]) for row in content["images"]}
    found = {row["id"]: row for row in content["annotations"]}
    records: dict[object, ReferringRecord] = {}
    for ref in refs:
        image, target = ref["image_id"], found[ref["ann_id"]]
        if image not in records:
            records[image] = ReferringRecord(folder / names[image])
        for sentence in ref["sentences"]:
            add_phrase(
                records[image], str(sentence["sent"]), _corners(target), target["segmentation"]
            )
    for row in found.values():
        if row["image_id"] in records and not row.get("iscrowd", 0):
            records[row["image_id"]].boxes.append(_corners(row))
            records[row["image_id"]].segments.append(row["segmentation"])
    return list(records.values())


def _corners(row: Mapping[str, Any]) -> list[float]:
    x, y, width, height = (float(value) for value in row["bbox"])
    return [x, y, x + width, y + height]


class _PlainUnpickler(pickle.Unpickler):
    """Builds containers, texts and numbers; any named object is refused, so no code can run."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        raise InputError(
            f"it asks for {module}.{name}, which could run code: RefCOCO's files hold lists, "
            "dictionaries, texts and numbers alone; save the same content as JSON"
        )


def _read_refs(root: Path, by: str) -> list[Mapping[str, Any]]:
    plain, packed = root / f"refs({by}).json", root / f"refs({by}).p"
    if plain.is_file():
        try:
            content = json.loads(plain.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(f"{plain} is not valid JSON: {error}") from error
    elif packed.is_file():
        content = read_plain_pickle(packed)
    else:
        there = ", ".join(sorted(p.name for p in root.glob("refs(*"))) or "none"
        raise InputError(f"no {packed.name} or {plain.name} in {root}: there are {there}")
    if not isinstance(content, list) or not all(isinstance(row, Mapping) for row in content):
        raise InputError(f"the phrases of {root} must be {_REFS_FORM}")
    return content


def read_plain_pickle(path: Path) -> object:
    """Read a pickle of containers, texts and numbers.

    Raises:
        InputError: If it is broken, or asks for any other object.
    """
    try:
        with path.open("rb") as stream:
            return _PlainUnpickler(stream, encoding="utf-8").load()
    except InputError as error:
        raise InputError(f"refused {path}: {error}") from error
    except Exception as error:  # broken pickles raise many kinds
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"corrupt pickle {path}: {reason}") from error
