"""Pixel metrics of anomaly maps, pooled over all images of a category.

``PixelScores`` takes one map and mask at a time; its curve gives pixel AUROC, AP, F1-max and
AUPRO from one sort. All results are fractions in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics._checks import as_binary, as_finite
from dense.metrics._histogram import ScoreHistogram
from dense.metrics.rank_curve import RankCurve

Maps = Sequence[NDArray[np.floating]]
Masks = Sequence[NDArray[np.generic] | None]


def component_labels(mask: ArrayLike) -> tuple[NDArray[np.int32], int]:
    """Number the 8-connected defect regions of a mask.

    Args:
        mask: (H, W) bool or 0/1.

    Returns:
        (H, W) labels, 0 = defect-free, 1..R = regions; and R.

    Raises:
        InputError: The mask is not two-dimensional or holds other values than 0 and 1.
    """
    binary = as_binary(mask, "mask")
    if binary.ndim != 2:
        raise InputError(f"mask must have shape (H, W), but it has {binary.shape}; pass one mask.")
    count, labels = cv2.connectedComponents(
        np.ascontiguousarray(binary).view(np.uint8), connectivity=8, ltype=cv2.CV_32S
    )
    return np.asarray(labels, dtype=np.int32), int(count) - 1


class PixelScores:
    """Collects the pixels of a category, one anomaly map and mask at a time.

    Exact mode (``bins=None``) keeps every score as float32: 4 bytes a defect-free pixel and 8
    a defect pixel. Histogram mode keeps ``bins`` counters whatever the number of images: 24
    bytes a bin, 96 MiB for ``2**22``. Bins divide the float32 number line itself (the leading
    bits of the sorted bit pattern), so no score range is asked for and none is clipped: the
    bins have a relative width of ``2**9 / bins``, 1.2e-4 for ``2**22``. All results in
    histogram mode equal those of exact mode for scores rounded down to the lowest float of
    their bin; F1-max is never above the exact one, and AUROC and AUPRO differ from the exact
    ones by at most ``curve().area_error(limit)``.

    Scores are compared as float32, so float64 scores that agree in float32 count as ties.

    Args:
        bins: ``None`` for exact mode, or a power of two from ``2**12`` to ``2**24``.

    Raises:
        InputError: ``bins`` is not such a power of two.
    """

    def __init__(self, bins: int | None = None) -> None:
        """Start without images."""
        self._histogram = None if bins is None else ScoreHistogram(bins)
        self._negatives: list[NDArray[np.float32]] = []
        self._positives: list[NDArray[np.float32]] = []
        self._weights: list[NDArray[np.float32]] = []
        self._images = 0

    @classmethod
    def from_maps(cls, maps: Maps, masks: Masks, bins: int | None = None) -> PixelScores:
        """Collect a whole category at once.

        Args:
            maps: (H, W) anomaly maps; sizes may differ from image to image.
            masks: The mask of each map; ``None`` = a defect-free image.
            bins: As for the class.

        Returns:
            The filled collector.

        Raises:
            InputError: The lengths differ, or as ``add``.
        """
        check_lengths(maps, masks)
        pixels = cls(bins)
        for anomaly_map, mask in zip(maps, masks, strict=True):
            pixels.add(anomaly_map, mask)
        return pixels

    @property
    def images(self) -> int:
        """Number of maps added so far."""
        return self._images

    def add(
        self, anomaly_map: ArrayLike, mask: ArrayLike | None, *, ignore: ArrayLike | None = None
    ) -> None:
        """Add one image.

        Args:
            anomaly_map: (H, W) finite scores, higher = more anomalous.
            mask: (H, W) bool or 0/1, 1 = defect; ``None`` = a defect-free image.
            ignore: (H, W) bool or 0/1, 1 = not counted as defect-free either.

        Raises:
            InputError: The map is not (H, W), not finite, or of another size than the masks;
                a mask holds other values than 0 and 1.
        """
        scores, truth = read_pair(anomaly_map, mask)
        left_out = None if ignore is None else read_pair(anomaly_map, ignore)[1]
        self._images += 1
        if truth is None or not truth.any():
            rest = scores.ravel() if left_out is None else scores[~left_out]
            self._store(rest, scores[:0, 0], np.zeros(0, dtype=np.float32))
            return
        labels, _ = component_labels(truth)
        regions = labels[truth]
        shares = 1.0 / np.maximum(np.bincount(regions), 1)
        normal = ~truth if left_out is None else ~(truth | left_out)
        self._store(scores[normal], scores[truth], shares.astype(np.float32)[regions])

    def merge(self, other: PixelScores) -> PixelScores:
        """Return a new collector with the images of both, for example of two processes.

        Raises:
            InputError: The modes or the numbers of bins differ.
        """
        mine, theirs = self._histogram, other._histogram
        if (mine and mine.bins) != (theirs and theirs.bins):
            raise InputError(
                f"merged PixelScores must have the same bins, but they have "
                f"{mine and mine.bins} and {theirs and theirs.bins}; build both alike."
            )
        joined = PixelScores()
        joined._images = self._images + other._images
        joined._negatives = self._negatives + other._negatives
        joined._positives = self._positives + other._positives
        joined._weights = self._weights + other._weights
        if mine is not None and theirs is not None:
            joined._histogram = mine.merge(theirs)
        return joined

    def curve(self) -> RankCurve:
        """Sort all pixels once.

        Returns:
            The curve whose ``auroc()``, ``average_precision()``, ``f1_max()`` weigh pixels
            equally and whose ``area(limit)`` is AUPRO: every defect region weighs the same.

        Raises:
            InputError: No image has been added.
        """
        if self._images == 0:
            raise InputError(
                "PixelScores needs at least one image before its curve is read, but it has 0; "
                "call add(anomaly_map, mask) for each image."
            )
        if self._histogram is not None:
            return self._histogram.curve()
        return RankCurve.from_scores(
            np.concatenate(self._positives),
            np.concatenate(self._negatives),
            np.concatenate(self._weights),
        )

    def _store(
        self,
        negatives: NDArray[np.float32],
        positives: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> None:
        if self._histogram is not None:
            self._histogram.add(negatives, positives, weights)
            return
        # Copies: the caller may reuse the map's memory for the next image.
        self._negatives.append(negatives.copy())
        self._positives.append(positives.copy())
        self._weights.append(weights)


def read_pair(
    anomaly_map: ArrayLike, mask: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.bool_] | None]:
    """Check one map and its mask.

    Args:
        anomaly_map: (H, W) finite scores.
        mask: (H, W) bool or 0/1, or ``None``.

    Returns:
        The map as float32 and the mask as bool (or ``None``).

    Raises:
        InputError: As ``PixelScores.add``.
    """
    with np.errstate(over="ignore"):
        scores = as_finite(np.asarray(anomaly_map).astype(np.float32, copy=False), "anomaly_map")
    if scores.ndim != 2:
        raise InputError(
            f"anomaly_map must have shape (H, W), but it has {scores.shape}; "
            "pass one map at a time without batch or channel axis."
        )
    if mask is None:
        return scores.astype(np.float32, copy=False), None
    truth = as_binary(mask, "mask")
    if truth.shape != scores.shape:
        raise InputError(
            f"anomaly_map and mask must have the same size, but they have {scores.shape} and "
            f"{truth.shape}; resize the map to the mask."
        )
    return scores.astype(np.float32, copy=False), truth


def check_lengths(maps: Maps, masks: Masks) -> None:
    """Check that there is one mask (or ``None``) for each map.

    Raises:
        InputError: The lengths differ.
    """
    if len(maps) != len(masks):
        raise InputError(
            f"maps and masks must have the same length, but they have {len(maps)} and "
            f"{len(masks)}; pass None as the mask of a defect-free image."
        )


def pixel_auroc(maps: Maps, masks: Masks) -> float:
    """AUROC in [0, 1] over all pixels of all images; arguments as ``PixelScores.from_maps``."""
    return PixelScores.from_maps(maps, masks).curve().auroc()


def pixel_average_precision(maps: Maps, masks: Masks) -> float:
    """Step-wise AP in [0, 1] over all pixels; arguments as ``PixelScores.from_maps``."""
    return PixelScores.from_maps(maps, masks).curve().average_precision()


def pixel_f1_max(maps: Maps, masks: Masks) -> tuple[float, float]:
    """Largest F1 over all pixels and its threshold; arguments as ``PixelScores.from_maps``."""
    return PixelScores.from_maps(maps, masks).curve().f1_max()


def aupro(maps: Maps, masks: Masks, limit: float = 0.3) -> float:
    """Area under the per-region overlap curve up to a false-positive rate, divided by it.

    Bergmann et al., "The MVTec Anomaly Detection Dataset", IJCV 2021: the
    overlap is averaged over all 8-connected regions of all images, the false-positive rate is
    taken over all defect-free pixels of all images, normal images included. Every distinct
    score is a threshold and the curve is interpolated linearly at the limit, where the
    authors' own code samples thresholds.

    Args:
        maps: (H, W) anomaly maps; sizes may differ from image to image.
        masks: The mask of each map; ``None`` = a defect-free image.
        limit: False-positive rate at which the curve ends, 0.3 (MVTec AD) or 0.05 (AD 2).

    Returns:
        AUPRO in [0, 1]; nan without any defect region or any defect-free pixel.

    Raises:
        InputError: As ``PixelScores.from_maps``, or ``limit`` lies outside of (0, 1].
    """
    return PixelScores.from_maps(maps, masks).curve().area(limit)
