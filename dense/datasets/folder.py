"""Anyone's own pictures for segmentation and detection: `images/` beside their annotations."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import by_stem, read_json, require_directory
from dense.datasets.coco import BoxRecord, read_coco
from dense.datasets.regions import RegionTruth, read_segmentation
from dense.errors import InputError
from dense.images import read_image, read_mask
from dense.structures import Sample

IGNORE = 255
"""Mask value that is neither trained nor scored, after mapping."""

_LOG = logging.getLogger(__name__)
_CLASSES_FORM = '{"ignore": [0], "classes": {"1": "cat", "2": "dog"}}'


@dataclass(frozen=True)
class MaskLabels:
    """How the ids in mask files become class indices.

    Attributes:
        names: K class names in the order of their ids.
        ids: K mask ids, ascending; ``ids[k]`` becomes index ``k``.
        ignore: Mask ids that become 255; 255 itself is always ignored unless it names a class.
    """

    names: tuple[str, ...]
    ids: tuple[int, ...]
    ignore: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.names:
            raise InputError("no class is left to score: every id in the classes is ignored")
        if len(self.names) > IGNORE:
            raise InputError(
                f"a segmentation folder holds at most {IGNORE} classes, got {len(self.names)}"
            )

    @classmethod
    def read(cls, path: Path) -> MaskLabels:
        """Read a `classes.json`; an id in both lists is ignored.

        Raises:
            InputError: If the file is missing, broken, or names no class.
        """
        content = read_json(path, _CLASSES_FORM)
        classes, ignore = content.get("classes"), content.get("ignore", [])
        if not isinstance(classes, dict) or not isinstance(ignore, list):
            raise InputError(f"{path} does not have the expected form {_CLASSES_FORM}")
        try:
            named = {int(key): str(name) for key, name in classes.items()}
            ignored = tuple(sorted({int(key) for key in ignore}))
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}: mask ids must be whole numbers: {error}") from error
        ids = tuple(sorted(set(named) - set(ignored)))
        if ids and ids[0] < 0:
            raise InputError(f"{path}: mask ids must be 0 or more, got {ids[0]}")
        return cls(tuple(named[i] for i in ids), ids, ignored)

    def to_indices(self, mask: NDArray[np.int64], path: Path) -> NDArray[np.int64]:
        """Map mask ids (H, W) to 0..K-1, ignored ones to 255.

        Raises:
            InputError: If the mask holds an id that `classes.json` does not know.
        """
        present = np.unique(mask)
        unknown = sorted(set(present.tolist()) - {*self.ids, *self.ignore, IGNORE})
        if unknown:
            raise InputError(
                f"{path} holds mask ids that classes.json does not name: {unknown[:8]}; "
                "name them under classes or list them under ignore"
            )
        table = np.full(int(present.max(initial=0)) + 1, IGNORE, np.int64)
        for index, mask_id in enumerate(self.ids):
            if mask_id < len(table):
                table[mask_id] = index
        return table[mask]


class SegmentationFolder(Dataset[Sample]):
    """Pictures with masks: `images/`, `masks/`, `classes.json {ignore, classes}`.

    A mask has the name of its picture, any picture suffix, and the picture's size. Pictures
    without a mask are left out with a warning (`unlabelled` counts them).

    Args:
        root: The folder.
        split: Use `images/SPLIT` and `masks/SPLIT`; ``None`` uses all below `images` and `masks`.

    Raises:
        InputError: If the layout is not as described. Masks of another size than their picture
            and masks with unknown ids raise when their sample is read.
    """

    def __init__(self, root: str | Path, split: str | None = None) -> None:
        self.root = require_directory(Path(root), "the data set")
        self.labels = MaskLabels.read(self.root / "classes.json")
        part = split or ""
        images_dir = require_directory(self.root / "images" / part, "the picture folder")
        masks_dir = require_directory(self.root / "masks" / part, "the mask folder")
        images, masks = by_stem(images_dir, recursive=True), by_stem(masks_dir, recursive=True)
        lost = sorted(set(masks) - set(images))
        if lost:
            raise InputError(
                f"{masks[lost[0]]} has no picture of the same name in {images_dir} "
                f"({len(lost)} masks are without)"
            )
        if not masks:
            raise InputError(f"no masks in {masks_dir}: expected one for each picture to score")
        self.pairs = [(images[stem], masks[stem]) for stem in sorted(masks)]
        self.unlabelled = len(images) - len(masks)
        if self.unlabelled:
            _warn_once(
                f"{self.unlabelled} of {len(images)} pictures in {images_dir} have no mask and "
                f"are left out, e.g. {images[min(set(images) - set(masks))].name}"
            )

    @property
    def metainfo(self) -> dict[str, object]:
        """`classes`: K names in index order."""
        return {"classes": self.labels.names}

    def __len__(self) -> int:
        return len(self.pairs)

    def mask(self, index: int) -> NDArray[np.int64]:
        """(H, W) class indices of a picture, 255 where ignored, without reading the picture.

        Raises:
            InputError: If the mask is unreadable or holds an unknown id.
        """
        path = self.pairs[index][1]
        return self.labels.to_indices(read_mask(path), path)

    def __getitem__(self, index: int) -> Sample:
        image_path, mask_path = self.pairs[index]
        image = read_image(image_path)
        mask = read_mask(mask_path, image.shape[:2])
        return Sample(image, image_path, mask=self.labels.to_indices(mask, mask_path))


@cache
def _warn_once(message: str) -> None:
    """Warn, though a set may be opened several times in a run."""
    _LOG.warning("%s", message)


class DetectionFolder(Dataset[Sample]):
    """Pictures with boxes: `instances.json` in COCO's format beside `images/` (or named paths).

    Category ids become contiguous indices in ascending order; crowd regions are left out.

    Args:
        root: The folder; file names in the JSON are relative to `images/`, or else to the root.
        annotations: The JSON, below the folder.
        images: The picture folder, below the folder.
        masks: Read each box's mask, too; samples are then `RegionTruth`. Boxes without one are
            left out.

    Raises:
        InputError: If files are missing or the JSON is not consistent. A picture of another size
            than the JSON says raises when its sample is read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        annotations: str = "instances.json",
        images: str = "images",
        masks: bool = False,
    ) -> None:
        self.root = require_directory(Path(root), "the data set")
        self.annotations = self.root / annotations
        self.images = images
        self.masks = masks
        self.names, self.records = read_coco(self.annotations)
        self.paths = [self._find(record.file_name) for record in self.records]

    @property
    def metainfo(self) -> Mapping[str, object]:
        """`classes`: K names in index order."""
        return {"classes": self.names}

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        record, path = self.records[index], self.paths[index]
        image = read_image(path)
        if record.size is not None and image.shape[:2] != record.size:
            raise InputError(
                f"{path} is {image.shape[:2]} (height, width), but {self.annotations.name} says "
                f"{record.size}: its boxes would be misplaced"
            )
        if self.masks:
            return _with_masks(image, path, record)
        return Sample(image, path, boxes=record.boxes, box_labels=record.labels)

    def _find(self, name: str) -> Path:
        for path in (self.root / self.images / name, self.root / name):
            if path.is_file():
                return path
        raise InputError(
            f"{self.annotations.name} names {name}, but {self.root / self.images / name} is missing"
        )


def _with_masks(image: NDArray[np.uint8], path: Path, record: BoxRecord) -> RegionTruth:
    """Boxes that have a mask."""
    kept = [place for place, segment in enumerate(record.segments) if segment]
    masks = np.zeros((len(kept), *image.shape[:2]), bool)
    for row, place in enumerate(kept):
        owner = f"box {place + 1} of {path.name}"
        masks[row] = read_segmentation(record.segments[place], image.shape[:2], owner)
    return RegionTruth(
        image,
        path,
        boxes=record.boxes[kept],
        box_labels=record.labels[kept],
        masks=masks,
        things=np.ones(len(kept), bool),
    )
