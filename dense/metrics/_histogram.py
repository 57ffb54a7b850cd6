"""Counts of float32 scores in bins that divide the float number line evenly in bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.metrics.rank_curve import RankCurve

_SIGN = np.uint32(0x80000000)


class ScoreHistogram:
    """Bounded-memory counterpart of the sorted scores.

    The bit pattern of a float32, with the sign bit flipped (all bits for negative numbers),
    sorts like the number. A bin is its leading bits.

    Args:
        bins: A power of two from ``2**12`` to ``2**24``.

    Raises:
        InputError: ``bins`` is not such a power of two.
    """

    def __init__(self, bins: int) -> None:
        if bins not in [1 << bits for bits in range(12, 25)]:
            raise InputError(
                f"bins must be a power of two from 2**12 to 2**24, but it is {bins}; "
                "take 2**22, or None for exact results."
            )
        self.bins = bins
        self._shift = np.uint32(33 - bins.bit_length())
        self._negatives = np.zeros(bins, dtype=np.int64)
        self._positives = np.zeros(bins, dtype=np.int64)
        self._weights = np.zeros(bins, dtype=np.float64)

    def add(
        self,
        negatives: NDArray[np.float32],
        positives: NDArray[np.float32],
        weights: NDArray[np.float32],
    ) -> None:
        """Count (N,) negatives and (P,) positives with their (P,) weights."""
        np.add.at(self._negatives, self._bin(negatives), 1)
        index = self._bin(positives)
        np.add.at(self._positives, index, 1)
        np.add.at(self._weights, index, weights.astype(np.float64))

    def merge(self, other: ScoreHistogram) -> ScoreHistogram:
        """Return the sum of two histograms with the same number of bins."""
        joined = ScoreHistogram(self.bins)
        joined._negatives = self._negatives + other._negatives
        joined._positives = self._positives + other._positives
        joined._weights = self._weights + other._weights
        return joined

    def curve(self) -> RankCurve:
        """Return the curve of scores rounded down to the lower edges of their bins."""
        used = np.flatnonzero(self._positives)[::-1]
        below = np.cumsum(self._negatives)
        negatives = int(below[-1])
        weights = self._weights[used]
        return RankCurve(
            thresholds=self._edge(used),
            tp=np.cumsum(self._positives[used]),
            fp=negatives - below[used] + self._negatives[used],
            fp_above=negatives - below[used],
            mass=weights / max(weights.sum(), np.finfo(np.float64).tiny),
            positives=int(self._positives.sum()),
            negatives=negatives,
        )

    def _bin(self, scores: NDArray[np.float32]) -> NDArray[np.intp]:
        # Adding zero turns -0.0 into 0.0, whose bits differ though the numbers are equal.
        bits = (scores + np.float32(0)).view(np.uint32)
        keys = np.where(bits & _SIGN, ~bits, bits | _SIGN)
        return (keys >> self._shift).astype(np.intp)

    def _edge(self, index: NDArray[np.intp]) -> NDArray[np.float32]:
        keys = index.astype(np.uint32) << self._shift
        bits: NDArray[np.uint32] = np.where(keys & _SIGN, keys ^ _SIGN, ~keys)
        return bits.view(np.float32)
