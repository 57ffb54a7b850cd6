"""Small defects apart: which regions are small, and pixel metrics on them alone."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics._checks import as_binary
from dense.metrics.localization import PixelScores, component_labels

SMALL_METRICS = ("pixel_auroc_small", "aupro_small")


def region_areas(mask: ArrayLike) -> list[int]:
    """Pixels of each 8-connected defect region of a mask (H, W), in order of appearance.

    Raises:
        InputError: If it is not two-dimensional or not binary.
    """
    binary = as_binary(mask, "mask")
    if binary.ndim != 2:
        raise InputError(f"mask must have shape (H, W), but it has {binary.shape}; pass one mask.")
    flat = np.ascontiguousarray(binary).view(np.uint8)
    count, _, stats, _ = cv2.connectedComponentsWithStats(flat, connectivity=8)
    return [int(area) for area in stats[1:count, cv2.CC_STAT_AREA]]


def smallest_third(areas: Iterable[int]) -> int | None:
    """Area in pixels up to which a region is among the smallest third; ties are all in.

    A third is rounded up, so that one region is its own third; ``None`` without regions.
    """
    ordered = sorted(areas)
    return ordered[-(-len(ordered) // 3) - 1] if ordered else None


class SmallDefects:
    """Pixel AUROC and AUPRO of regions up to an area; larger ones are neither defect nor normal.

    Args:
        area: In pixels, see `smallest_third`.
        bins: As `PixelScores`.
    """

    def __init__(self, area: int, bins: int | None = None) -> None:
        self.area = area
        self.regions = 0
        self._pixels = PixelScores(bins)

    def add(self, anomaly_map: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
        """Add a picture's map; `mask` is ``None`` for a normal one.

        Raises:
            InputError: As `PixelScores.add`.
        """
        if mask is None:
            self._pixels.add(anomaly_map, None)
            return
        labels, count = component_labels(mask)
        areas = np.bincount(labels.ravel(), minlength=count + 1)
        small = areas <= self.area
        small[0] = False
        self.regions += int(small.sum())
        truth = small[labels]
        self._pixels.add(anomaly_map, truth, ignore=mask & ~truth)

    def scores(self) -> dict[str, float]:
        """`SMALL_METRICS` in percent, nan without small regions."""
        if not self.regions:
            return dict.fromkeys(SMALL_METRICS, float("nan"))
        curve = self._pixels.curve()
        values = (curve.auroc(), curve.area(0.3))
        return {key: 100.0 * value for key, value in zip(SMALL_METRICS, values, strict=True)}
