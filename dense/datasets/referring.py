"""Pictures with phrases that each mean one region, from a folder of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import read_json, require_directory
from dense.datasets.boxes import BoxesByName, read_boxes
from dense.datasets.regions import read_segmentation
from dense.errors import InputError
from dense.images import read_image
from dense.regions import check_boxes
from dense.structures import Sample

_FORM = '{"expressions": [{"image": "a.jpg", "phrase": "the left cup", "box": [x0, y0, x1, y1]}]}'


@dataclass(frozen=True)
class ReferringSample(Sample):
    """A picture, phrases, and the regions among which they are found (`boxes`).

    Attributes:
        phrases: P phrases.
        targets: (P, 4) float32 xyxy, what each phrase means.
        target_masks: (P, H, W) bool, the same as masks.
        masks: (R, H, W) bool, one a box.
    """

    phrases: tuple[str, ...] = ()
    targets: NDArray[np.float32] | None = None
    target_masks: NDArray[np.bool_] | None = None
    masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, rows in (("targets", self.targets), ("target_masks", self.target_masks)):
            if rows is not None and len(rows) != len(self.phrases):
                raise InputError(
                    f"ReferringSample needs one row of {name} a phrase, got {len(rows)} for "
                    f"{len(self.phrases)} phrases"
                )


@dataclass
class ReferringRecord:
    """What is known of a picture before it is read.

    Attributes:
        path: Of the picture.
        phrases: P phrases.
        targets: P boxes xyxy.
        target_segments: P segmentations in COCO's forms, or ``None``.
        boxes: R boxes xyxy among which phrases are found.
        segments: R segmentations, or ``None``.
    """

    path: Path
    phrases: list[str] = field(default_factory=list)
    targets: list[Sequence[float]] = field(default_factory=list)
    target_segments: list[object] = field(default_factory=list)
    boxes: list[Sequence[float]] = field(default_factory=list)
    segments: list[object] = field(default_factory=list)


class ReferringData(Dataset[ReferringSample]):
    """Base of referring data sets: reads what its records say.

    Args:
        records: One a picture.
        proposals: Boxes by picture name in place of the records' own.
        masks: Read masks, where every box has one.
    """

    def __init__(
        self,
        records: Iterable[ReferringRecord],
        *,
        proposals: BoxesByName | None = None,
        masks: bool = False,
    ) -> None:
        self.records = sorted(records, key=lambda record: record.path)
        self.proposals = proposals
        self.masks = masks
        lost = [] if proposals is None else [r for r in self.records if not self._offered(r)]
        if lost:
            raise InputError(
                f"the proposals name no box of {lost[0].path.name} ({len(lost)} pictures are "
                "without): phrases can only be found among boxes"
            )

    @property
    def phrases(self) -> int:
        """Number of phrases."""
        return sum(len(record.phrases) for record in self.records)

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> ReferringSample:
        record = self.records[index]
        image, owner = read_image(record.path), record.path.name
        size = (image.shape[0], image.shape[1])
        targets = check_boxes(np.array(record.targets, np.float32), size, f"the phrases of {owner}")
        boxes, segments = self._offered(record), record.segments
        if self.proposals is not None:
            segments = []

        def read(rows: list[object]) -> NDArray[np.bool_] | None:
            if not self.masks or not rows or not all(rows):
                return None
            return np.stack([read_segmentation(row, size, owner) for row in rows])

        return ReferringSample(
            image,
            record.path,
            boxes=check_boxes(np.array(boxes, np.float32), size, f"the proposals of {owner}"),
            phrases=tuple(record.phrases),
            targets=targets,
            target_masks=read(record.target_segments),
            masks=read(segments),
        )

    def _offered(self, record: ReferringRecord) -> Sequence[Sequence[float]]:
        if self.proposals is None:
            return record.boxes
        found = self.proposals.get(record.path.name)
        return [] if found is None else found.tolist()


class ReferringFolder(ReferringData):
    """Anyone's phrases: `images/` beside `referring.json`.

    An entry names a picture, a phrase and the box [x0, y0, x1, y1] that it means, maybe with a
    `segmentation` (polygons or run lengths, as COCO's). Phrases are found among the boxes of
    `proposals.json` (a list by file name, or COCO's format) if there is one, else among all
    different boxes that the picture's phrases mean.

    Args:
        root: The folder.
        masks: Read masks, where every entry of a picture has one.

    Raises:
        InputError: If files are missing or an entry is incomplete.
    """

    def __init__(self, root: str | Path, *, masks: bool = False) -> None:
        self.root = require_directory(Path(root), "the data set")
        self.annotations = self.root / "referring.json"
        entries = read_json(self.annotations, _FORM).get("expressions")
        if not isinstance(entries, list) or not entries:
            raise InputError(f"{self.annotations} lists no expressions; expected {_FORM}")
        records: dict[str, ReferringRecord] = {}
        for number, entry in enumerate(entries, 1):
            name, phrase, box = self._entry(entry, number)
            if name not in records:
                records[name] = ReferringRecord(self._find(name))
            add_phrase(records[name], phrase, box, entry.get("segmentation"))
            if box not in records[name].boxes:
                records[name].boxes.append(box)
                records[name].segments.append(entry.get("segmentation"))
        listed = self.root / "proposals.json"
        proposals = read_boxes(listed) if listed.is_file() else None
        super().__init__(records.values(), proposals=proposals, masks=masks)

    def _entry(self, entry: object, number: int) -> tuple[str, str, list[float]]:
        place = f"{self.annotations}: expression {number}"
        if not isinstance(entry, Mapping):
            raise InputError(f"{place} is no object; expected {_FORM}")
        name, phrase, box = (entry.get(key) for key in ("image", "phrase", "box"))
        if not isinstance(name, str) or not isinstance(phrase, str) or not phrase.strip():
            raise InputError(f"{place} needs an image and a phrase; expected {_FORM}")
        good = isinstance(box, list) and len(box) == 4
        if not good or not all(isinstance(v, int | float) for v in box):  # type: ignore[union-attr]
            raise InputError(f"{place} needs a box [x0, y0, x1, y1], got {box}")
        return name, phrase, [float(v) for v in box]  # type: ignore[union-attr]

    def _find(self, name: str) -> Path:
        path = self.root / "images" / name
        if not path.is_file():
            raise InputError(f"{self.annotations.name} names {name}, but {path} is missing")
        return path


def add_phrase(record: ReferringRecord, phrase: str, box: Sequence[float], segment: object) -> None:
    """Add a phrase with what it means to a picture's record."""
    record.phrases.append(phrase)
    record.targets.append(box)
    record.target_segments.append(segment)
