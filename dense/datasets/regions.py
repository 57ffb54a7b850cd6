"""Pictures with labelled regions: boxes with masks, things and stuff."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import read_json, require_directory
from dense.errors import InputError
from dense.images import read_image
from dense.regions import mask_boxes
from dense.rle import decode_rle
from dense.structures import PanopticSegments, Sample, Size

_FORM = "COCO's panoptic images, annotations with segments_info, and categories with isthing"


@dataclass(frozen=True)
class RegionTruth(Sample):
    """A picture whose `boxes` and `box_labels` have masks, too.

    Attributes:
        masks: (R, H, W) bool, one a box.
        things: (R,) bool: countable things; the others are stuff such as sky.
    """

    masks: NDArray[np.bool_] | None = None
    things: NDArray[np.bool_] | None = None


class PanopticFolder(Dataset[RegionTruth]):
    """COCO-panoptic, ADE-panoptic, or one's own in that form.

    A PNG for each picture gives every pixel the id of its segment, red + 256 · green + 65,536 ·
    blue; the JSON says of which category each segment is, and which categories are things. Crowds
    are left out of the samples. Categories in ascending order of id become class indices.

    Args:
        root: The folder.
        annotations: The JSON, below it.
        masks: The folder of PNG files, below it.
        images: The folder of pictures, below it.

    Raises:
        InputError: If files are missing or the JSON is not consistent. A mask of another size than
            its picture raises when its sample is read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        annotations: str = "panoptic.json",
        masks: str = "panoptic",
        images: str = "images",
    ) -> None:
        self.root = require_directory(Path(root), "the data set")
        self.masks = require_directory(self.root / masks, "the folder of panoptic masks")
        self.images = require_directory(self.root / images, "the picture folder")
        path = self.root / annotations
        content = read_json(path, _FORM)
        try:
            categories = sorted(content["categories"], key=lambda row: int(row["id"]))  # type: ignore[call-overload]
            self.names = tuple(str(row["name"]) for row in categories)
            self.things = tuple(bool(row["isthing"]) for row in categories)
            self.index = {int(row["id"]): k for k, row in enumerate(categories)}
            named = {row["id"]: str(row["file_name"]) for row in content["images"]}  # type: ignore[attr-defined]
            rows = [
                (named[row["image_id"]], str(row["file_name"]), _segments(row, self.index))
                for row in content["annotations"]  # type: ignore[attr-defined]
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"{path} lacks an entry or names an unknown id: {error}; expected {_FORM}"
            ) from error
        self.rows = sorted(rows, key=lambda row: row[0])
        if not self.rows:
            raise InputError(f"{path} lists no annotations")

    @property
    def metainfo(self) -> Mapping[str, object]:
        """`classes`: K names in index order; `things`: which of them are countable."""
        return {"classes": self.names, "things": self.things}

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> RegionTruth:
        picture, mask, segments = self.rows[index]
        image, path = read_image(self.images / picture), self.masks / mask
        ids = _read_ids(path)
        if ids.shape != image.shape[:2]:
            raise InputError(
                f"{path} is {ids.shape} (height, width), but its picture is {image.shape[:2]}"
            )
        kept = [
            (number, label)
            for number, label, crowd in segments
            if not crowd and (ids == number).any()
        ]
        masks = np.zeros((len(kept), *image.shape[:2]), bool)
        for place, (number, _) in enumerate(kept):
            masks[place] = ids == number
        labels = np.array([label for _, label in kept], np.int64)
        return RegionTruth(
            image,
            self.images / picture,
            boxes=mask_boxes(masks),
            box_labels=labels,
            masks=masks,
            things=np.array([self.things[label] for label in labels], bool),
        )

    def truth(self, index: int) -> PanopticSegments:
        """All segments of a picture, crowds too; pixels of none that is listed are void."""
        _, mask, segments = self.rows[index]
        ids = _read_ids(self.masks / mask)
        numbers = np.zeros(ids.shape, np.int64)
        for place, (number, _, _) in enumerate(segments, 1):
            numbers[ids == number] = place
        return PanopticSegments(
            numbers,
            np.array([label for _, label, _ in segments], np.int64),
            np.array([crowd for _, _, crowd in segments], bool),
        )


def read_segmentation(segmentation: object, size: Size, owner: str) -> NDArray[np.bool_]:
    """A mask (H, W) from COCO's `segmentation`: polygons or run lengths.

    A pixel belongs to a polygon if its centre lies inside; pycocotools traces the border at five
    times the resolution, and may differ by a pixel along it.

    Raises:
        InputError: If it is neither, or of another size.
    """
    if isinstance(segmentation, Mapping):
        return decode_rle(segmentation, size, owner)
    if not isinstance(segmentation, list) or not segmentation:
        raise InputError(f"{owner} has no mask: expected polygons or a run-length mask")
    mask = np.zeros(size, bool)
    for polygon in segmentation:
        if not isinstance(polygon, list) or len(polygon) < 6 or len(polygon) % 2:
            raise InputError(f"{owner}: a polygon needs three or more points x, y, got {polygon}")
        mask |= _filled(np.array(polygon, np.float64).reshape(-1, 2), size)
    return mask


def _filled(points: NDArray[np.float64], size: Size) -> NDArray[np.bool_]:
    """Pixels whose centre lies inside a polygon (P, 2) of x, y, by the even-odd rule."""
    mask = np.zeros(size, bool)
    centres = np.arange(size[1]) + 0.5
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        low, high = (int(np.ceil(min(max(y, 0), size[0]) - 0.5)) for y in sorted((y0, y1)))
        rows = np.arange(low, high)
        if len(rows):
            crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            mask[rows] ^= centres >= crossing[:, None]
    return mask


def _read_ids(path: Path) -> NDArray[np.int64]:
    """Segment ids (H, W) of a panoptic mask."""
    return read_image(path).astype(np.int64) @ np.array([1, 256, 65536])


def _segments(row: Mapping[str, object], index: Mapping[int, int]) -> list[tuple[int, int, bool]]:
    """(segment id, class index, whether it is a crowd)."""
    segments: Sequence[Mapping[str, int]] = row["segments_info"]  # type: ignore[assignment]
    return [
        (int(part["id"]), index[int(part["category_id"])], bool(part.get("iscrowd", 0)))
        for part in segments
    ]
