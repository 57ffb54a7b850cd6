"""Area under the per-image overlap curve (AUPIMO)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.metrics.localization import Maps, Masks, check_lengths, read_pair


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
    low, high = bounds
    if not 0.0 < low < high <= 1.0:
        raise InputError(
            f"bounds must be two increasing rates in (0, 1], but they are {bounds}; "
            "the paper's are (1e-5, 1e-4)."
        )
    pairs = [read_pair(anomaly_map, mask) for anomaly_map, mask in zip(maps, masks, strict=True)]
    normal = [scores.ravel() for scores, mask in pairs if mask is None or not mask.any()]
    result = np.full(len(pairs), np.nan)
    if not normal:
        return result
    thresholds, rates = _shared_rates(normal, high)
    for index, (scores, mask) in enumerate(pairs):
        if mask is not None and mask.any():
            defect = np.sort(scores[mask])
            result[index] = _integrate(defect, thresholds, rates, (low, high))
    return result


def _shared_rates(
    normal: list[NDArray[np.float32]], high: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Distinct normal scores, descending, and the shared rate at score >= each of them.

    Only the scores down to the first rate above ``high`` are kept: an image whose m-th
    highest score is c, with m above high * images * pixels, alone lifts the rate at c above
    ``high``, so nothing below the largest such c matters.
    """
    kept = normal
    if high * len(normal) < 1.0:
        cuts = []
        for scores in normal:
            place = scores.size - int(high * len(normal) * scores.size) - 1
            cuts.append(np.partition(scores, place)[place])
        kept = [scores[scores >= max(cuts)] for scores in normal]
    share = [
        np.full(k.size, 1.0 / (len(normal) * s.size)) for k, s in zip(kept, normal, strict=True)
    ]
    values = np.concatenate(kept)
    order = np.argsort(values)[::-1]
    values, rates = values[order], np.cumsum(np.concatenate(share)[order])
    last = np.ones(values.size, dtype=np.bool_)
    last[:-1] = values[1:] != values[:-1]
    return values[last], np.minimum(rates[last], 1.0)


def _integrate(
    defect: NDArray[np.float32],
    thresholds: NDArray[np.float32],
    rates: NDArray[np.float64],
    bounds: tuple[float, float],
) -> float:
    """Mean recall over log rate for the ascending scores of one image's defect pixels."""
    low, high = np.log(bounds)
    x = np.log(rates)
    above = 1.0 - np.searchsorted(defect, thresholds, side="right") / defect.size
    reached = 1.0 - np.searchsorted(defect, thresholds, side="left") / defect.size
    # Rate 0 has no logarithm: the recall there is held up to the first rate above 0.
    held = max(min(float(x[0]), high) - low, 0.0) * float(above[0])
    begin, end = np.clip(x[:-1], low, high), np.clip(x[1:], low, high)
    slope = (reached[1:] - above[1:]) / np.diff(x)
    middle = above[1:] + slope * ((begin + end) / 2 - x[:-1])
    return float((held + np.dot(end - begin, middle)) / (high - low))
