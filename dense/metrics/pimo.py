"""Area under the per-image overlap curve (AUPIMO)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics.localization import Maps, Masks, check_lengths, read_pair

PRUNE_AT = 1 << 21
"""Normal scores that may gather before those that cannot matter any more are dropped."""


class PimoScores:
    """Collects maps one at a time for AUPIMO, keeping only what can still matter.

    Of normal images those scores are kept at which the shared false-positive rate can still be
    within the bounds; of anomalous ones the defect scores above the lowest of them. Normal images
    that come first bound the memory of all that follow.

    Args:
        normal_images: How many normal images there will be: the shared rate is their mean.
        bounds: Lowest and highest shared false-positive rate, 0 < low < high <= 1.

    Raises:
        InputError: The bounds are not increasing in (0, 1], or there are less than 0 images.
    """

    def __init__(self, normal_images: int, bounds: tuple[float, float] = (1e-5, 1e-4)) -> None:
        low, high = bounds
        if not 0.0 < low < high <= 1.0:
            raise InputError(
                f"bounds must be two increasing rates in (0, 1], but they are {bounds}; "
                "the paper's are (1e-5, 1e-4)."
            )
        if normal_images < 0:
            raise InputError(f"normal_images must be 0 or more, but it is {normal_images}.")
        self.normal_images = normal_images
        self.bounds = bounds
        self._seen = 0
        self._cut = np.float32(-np.inf)
        self._normal: list[tuple[NDArray[np.float32], NDArray[np.float64]]] = []
        self._pending = 0
        self._kept = 0
        self._defects: list[tuple[NDArray[np.float32], int]] = []

    def add(self, anomaly_map: ArrayLike, mask: ArrayLike | None) -> None:
        """Add one image; arguments and errors as ``PixelScores.add``."""
        scores, truth = read_pair(anomaly_map, mask)
        if truth is not None and truth.any():
            defect = scores[truth]
            self._defects.append((defect[defect >= self._cut], defect.size))
            return
        self._seen += 1
        share = 1.0 / (max(self.normal_images, 1) * scores.size)
        # Alone, this many of an image's scores lift the rate above the upper bound.
        most = min(int(self.bounds[1] / share) + 1, scores.size)
        kept = np.partition(scores.ravel(), scores.size - most)[scores.size - most :]
        kept = kept[kept >= self._cut]
        self._normal.append((kept, np.full(kept.size, share)))
        self._pending += kept.size
        if self._pending > self._kept + PRUNE_AT:
            self._prune()

    def scores(self) -> NDArray[np.float64]:
        """(A,) scores in [0, 1] of the anomalous images in their order; nan without normal ones.

        Raises:
            InputError: If another number of normal images came than was announced.
        """
        if self._seen != self.normal_images:
            raise InputError(
                f"{self.normal_images} normal images were announced, but {self._seen} came: the "
                "shared rate would be wrong; add them all"
            )
        if not self._seen:
            return np.full(len(self._defects), np.nan)
        thresholds, rates = _distinct(*self._merged())
        found = [
            _integrate(np.sort(defect), size, thresholds, rates, self.bounds)
            for defect, size in self._defects
        ]
        return np.array(found, np.float64)

    def mean(self) -> float:
        """The data-set figure, the mean of `scores`; nan if it is undefined."""
        scores = self.scores()
        return float(scores.mean()) if scores.size else float("nan")

    def _merged(self) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        values = np.concatenate([values for values, _ in self._normal])
        shares = np.concatenate([shares for _, shares in self._normal])
        order = np.argsort(values)[::-1]
        return values[order], shares[order]

    def _prune(self) -> None:
        """Drop normal scores below the first at which the rate exceeds the upper bound."""
        values, shares = self._merged()
        place = int(np.searchsorted(np.cumsum(shares), self.bounds[1], side="right"))
        if place < values.size:
            self._cut = values[place]
            kept = values >= self._cut
            values, shares = values[kept], shares[kept]
        self._normal = [(values, shares)]
        self._kept, self._pending = values.size, 0


def aupimo(
    maps: Maps, masks: Masks, bounds: tuple[float, float] = (1e-5, 1e-4)
) -> NDArray[np.float64]:
    """Average recall inside each anomalous image while normal images stay (nearly) silent.

    Bertoldo et al., "AUPIMO: Redefining Anomaly Localization Benchmarks with High Speed and
    Low Tolerance", 2024: thresholds are indexed by the shared false-positive rate, the mean
    over normal images of the share of pixels called anomalous; the recall of one image is
    integrated over the logarithm of that rate between the bounds and divided by the width.

    The integral is exact for the polygon through every distinct score, where the authors' code
    samples thresholds; it is cut at the bounds by interpolation in log rate. Below the lowest
    rate that the normal pixels can resolve (one pixel of one image) the recall at rate 0 holds,
    so use at least 1 / bounds[0] normal pixels.

    Args:
        maps: (H, W) anomaly maps of B images; sizes may differ from image to image.
        masks: The mask of each map; ``None`` or an empty mask = a normal image.
        bounds: Lowest and highest shared false-positive rate, 0 < low < high <= 1.

    Returns:
        (B,) scores in [0, 1]: nan for normal images, and nan throughout if there is no normal
        image. The data-set figure is their ``numpy.nanmean``.

    Raises:
        InputError: The lengths differ, the bounds are not increasing in (0, 1], or a map or
            mask is bad as for ``PixelScores.add``.
    """
    check_lengths(maps, masks)
    normal = [mask is None or not np.any(mask) for mask in masks]
    pimo = PimoScores(sum(normal), bounds)
    places = sorted(range(len(normal)), key=lambda place: not normal[place])
    for place in places:
        pimo.add(maps[place], masks[place])
    result = np.full(len(normal), np.nan)
    result[places[sum(normal) :]] = pimo.scores()
    return result


def _distinct(
    values: NDArray[np.float32], shares: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Distinct scores of descending ones, and the shared rate at score >= each of them."""
    last = np.ones(values.size, dtype=np.bool_)
    last[:-1] = values[1:] != values[:-1]
    return values[last], np.minimum(np.cumsum(shares)[last], 1.0)


def _integrate(
    defect: NDArray[np.float32],
    size: int,
    thresholds: NDArray[np.float32],
    rates: NDArray[np.float64],
    bounds: tuple[float, float],
) -> float:
    """Mean recall over log rate for the highest, ascending, of one image's defect scores."""
    dropped = size - defect.size
    low, high = np.log(bounds)
    x = np.log(rates)
    above = 1.0 - (dropped + np.searchsorted(defect, thresholds, side="right")) / size
    reached = 1.0 - (dropped + np.searchsorted(defect, thresholds, side="left")) / size
    # Rate 0 has no logarithm: the recall there is held up to the first rate above 0.
    held = max(min(float(x[0]), high) - low, 0.0) * float(above[0])
    begin, end = np.clip(x[:-1], low, high), np.clip(x[1:], low, high)
    slope = (reached[1:] - above[1:]) / np.diff(x)
    middle = above[1:] + slope * ((begin + end) / 2 - x[:-1])
    return float((held + np.dot(end - begin, middle)) / (high - low))
