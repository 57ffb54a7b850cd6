"""Masks in the forms that other tools read: cut-outs, COCO run lengths, polygons with holes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.rle import encode_rle
from dense.structures import SegmentationResult

Mask = NDArray[np.bool_]
Ring = list[list[int]]
"""Corners [x, y] of a closed line along pixel edges, the first one repeated at the end."""


@dataclass(frozen=True)
class Segment:
    """The pixels of one class.

    Attributes:
        index: Of the class.
        name: Of the class.
        mask: (H, W) bool.
    """

    index: int
    name: str
    mask: Mask


def segments(result: SegmentationResult, *, hidden: Sequence[int] = ()) -> list[Segment]:
    """The classes that are present, in their order; undecided pixels and hidden classes are not."""
    present = np.unique(result.class_map).tolist()
    return [
        Segment(k, name, result.class_map == k)
        for k, name in enumerate(result.class_names)
        if k in present and k not in hidden
    ]


def cut_out(image: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """(H, W, 4) RGBA of a picture (H, W, 3): opaque inside the mask, clear outside."""
    return np.dstack([image, np.where(mask, 255, 0).astype(np.uint8)])


def polygons(mask: Mask) -> list[list[Ring]]:
    """Outlines of a mask (H, W) as GeoJSON's MultiPolygon: per part an outer ring, then its holes.

    Rings run along the edges of pixels, (0, 0) is the top left corner of the picture and y points
    down; so areas are counts of pixels, and pixel (row, column) is inside if the point (column +
    1/2, row + 1/2) is. Parts that touch at a corner are one, their ring meets itself there.
    """
    twice = np.ascontiguousarray(np.asarray(mask, np.uint8).repeat(2, 0).repeat(2, 1))
    contours, tree = cv2.findContours(twice, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    parts: dict[int, list[Ring]] = {}
    holes: list[tuple[int, Ring]] = []
    for place, contour in enumerate(contours):
        parent = int(tree[0][place][3])
        if parent < 0:
            parts[place] = [_ring(contour)]
        else:
            holes.append((parent, _ring(contour)))
    for parent, ring in holes:
        parts[parent].append(ring)
    return list(parts.values())


def to_coco(found: Sequence[Segment]) -> list[dict[str, object]]:
    """COCO annotations with run lengths, area and box [x, y, width, height]."""
    return [
        {
            "category_id": segment.index,
            "category": segment.name,
            "segmentation": encode_rle(segment.mask),
            "area": int(segment.mask.sum()),
            "bbox": _box(segment.mask),
        }
        for segment in found
    ]


def to_geojson(found: Sequence[Segment]) -> dict[str, object]:
    """A FeatureCollection in pixels, see `polygons`."""
    features = [
        {
            "type": "Feature",
            "properties": {
                "index": segment.index,
                "class": segment.name,
                "area": int(segment.mask.sum()),
            },
            "geometry": {"type": "MultiPolygon", "coordinates": polygons(segment.mask)},
        }
        for segment in found
    ]
    return {"type": "FeatureCollection", "features": features}


def _ring(contour: NDArray[np.generic]) -> Ring:
    """A contour of the doubled mask → corners on pixel edges.

    In the doubled mask each border point lies in one half of its pixel: an even coordinate in the
    half at the pixel's low edge, an odd one at its high edge. Rounding up to even and halving
    takes it there, and closes the diagonal steps of 8-connected contours.
    """
    points = (contour[:, 0].astype(np.int64) + 1) // 2
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    moved = (points != before).any(1)
    points = points[moved]
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
    turns = np.sign(points - before) != np.sign(after - points)
    ring: Ring = points[turns.any(1)].tolist()
    return [*ring, ring[0]]


def _box(mask: Mask) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) - x + 1, int(rows[-1]) - y + 1]
