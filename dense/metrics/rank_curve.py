"""Counts of positives and negatives above each score: what every ranking metric is read from.

Tied scores enter together, so no result depends on the order of the input. Results are fractions
in [0, 1]; where only one class is present they are undefined and nan is returned.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dense.metrics._checks import check_fraction, check_share


@dataclass(frozen=True)
class RankCurve:
    """Counts at the T distinct scores of the positives, highest score first.

    The negatives between two such scores change neither precision-recall nor the area under
    a curve of true against false positives, so they need no entries of their own.

    Attributes:
        thresholds: (T,) distinct scores of positives, descending.
        tp: (T,) positives with a score >= threshold.
        fp: (T,) negatives with a score >= threshold.
        fp_above: (T,) negatives with a score > threshold.
        mass: (T,) share of the total weight that positives at exactly this score carry; sums
            to 1. Every positive weighs the same unless ``from_scores`` was given weights.
        positives: Number of positives.
        negatives: Number of negatives.
    """

    thresholds: NDArray[np.floating]
    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fp_above: NDArray[np.int64]
    mass: NDArray[np.float64]
    positives: int
    negatives: int

    @classmethod
    def from_scores(
        cls,
        positives: NDArray[np.floating],
        negatives: NDArray[np.floating],
        weights: NDArray[np.floating] | None = None,
    ) -> RankCurve:
        """Sort both classes once.

        Args:
            positives: (P,) finite scores of the positives.
            negatives: (N,) finite scores of the negatives, of the same dtype.
            weights: (P,) positive weights of the positives, any scale; ``None`` = equal.

        Returns:
            The curve; it has no thresholds when there are no positives.
        """
        # Only the positives are sorted with their weights: sorting values alone is several
        # times faster than finding the order, and nearly all pixels are negatives.
        order = np.argsort(positives)[::-1]
        descending = positives[order]
        last = np.ones(descending.size, dtype=np.bool_)
        last[:-1] = descending[1:] != descending[:-1]
        tp = np.flatnonzero(last) + 1
        thresholds = descending[last]
        ascending = np.sort(negatives)
        # Ascending keys let each search start where the last one ended.
        keys = np.ascontiguousarray(thresholds[::-1])
        below = np.searchsorted(ascending, keys, side="left")
        up_to = below.copy()
        tied = np.flatnonzero(below < negatives.size)
        tied = tied[ascending[below[tied]] == keys[tied]]
        up_to[tied] = np.searchsorted(ascending, keys[tied], side="right")
        counts = np.diff(tp, prepend=0)
        mass = counts.astype(np.float64)
        if weights is not None and counts.size:
            mass = np.add.reduceat(weights[order].astype(np.float64), tp - counts)
        return cls(
            thresholds=thresholds,
            tp=tp.astype(np.int64),
            fp=(negatives.size - below[::-1]).astype(np.int64),
            fp_above=(negatives.size - up_to[::-1]).astype(np.int64),
            mass=mass / max(mass.sum(), np.finfo(np.float64).tiny),
            positives=int(positives.size),
            negatives=int(negatives.size),
        )

    @property
    def defined(self) -> bool:
        """Whether both classes are present."""
        return self.positives > 0 and self.negatives > 0

    def area(self, limit: float = 1.0) -> float:
        """Area under weighted true positives against false positives up to a limit.

        The curve is the polygon through the points of all distinct scores (the trapezoid
        rule), cut at ``limit`` by linear interpolation, and the area is divided by ``limit``.

        Args:
            limit: False-positive rate in (0, 1] at which the curve ends.

        Returns:
            The normalised area in [0, 1], nan if only one class is present.

        Raises:
            InputError: ``limit`` lies outside of (0, 1].
        """
        check_fraction(limit, "limit")
        if not self.defined:
            return float("nan")
        begin, end = self.fp_above / self.negatives, self.fp / self.negatives
        # Positives at one score rise linearly between ``begin`` and ``end`` and stay.
        whole = limit - (begin + end) / 2
        rising = np.maximum(limit - begin, 0.0)
        width = np.maximum(end - begin, 0.5 / self.negatives)
        height = np.where(end <= limit, whole, rising * rising / (2 * width))
        return float(np.dot(self.mass, height) / limit)

    def area_error(self, limit: float = 1.0) -> float:
        """Largest change of ``area`` that any order among tied scores can make.

        Args:
            limit: As for ``area``.

        Returns:
            The bound in [0, 1], 0 when no positive ties with a negative; nan if undefined.

        Raises:
            InputError: ``limit`` lies outside of (0, 1].
        """
        check_fraction(limit, "limit")
        if not self.defined:
            return float("nan")
        best = np.maximum(limit - self.fp_above / self.negatives, 0.0)
        worst = np.maximum(limit - self.fp / self.negatives, 0.0)
        area = self.area(limit)
        above = float(np.dot(self.mass, best) / limit) - area
        return max(above, area - float(np.dot(self.mass, worst) / limit), 0.0)

    def auroc(self) -> float:
        """Area under the ROC curve with equal weights; ties count one half."""
        if not self.defined:
            return float("nan")
        counts = np.diff(self.tp, prepend=0).astype(np.float64)
        outranked = 2.0 * self.negatives - self.fp - self.fp_above
        return float(np.dot(counts, outranked) / (2.0 * self.negatives * self.positives))

    def average_precision(self) -> float:
        """Step-wise average precision: the sum of recall steps times precision."""
        if not self.defined:
            return float("nan")
        steps = np.diff(self.tp, prepend=0) / self.positives
        return float(np.dot(steps, self.tp / (self.tp + self.fp)))

    def f1_max(self) -> tuple[float, float]:
        """Largest F1 over all thresholds, and the lowest threshold that reaches it.

        Returns:
            (value, threshold); a score >= threshold is called anomalous. (nan, nan) if
            only one class is present.
        """
        if not self.defined:
            return float("nan"), float("nan")
        f1 = 2.0 * self.tp / (self.tp + self.fp + self.positives)
        index = f1.size - 1 - int(np.argmax(f1[::-1]))
        return float(f1[index]), float(self.thresholds[index])

    def average_precision_error(self) -> float:
        """Largest change of `average_precision` that any order among tied scores can make.

        In the best order the positives of a score all come first, in the worst its negatives.
        """
        if not self.defined:
            return float("nan")
        before = np.concatenate([[0], self.tp[:-1]])
        steps = (self.tp - before) / self.positives
        best = float(np.dot(steps, self.tp / (self.tp + self.fp_above)))
        worst = float(np.dot(steps, (before + 1) / (before + 1 + self.fp)))
        value = self.average_precision()
        return max(best - value, value - worst, 0.0)

    def f1_max_error(self) -> float:
        """How much `f1_max` can grow when tied scores are told apart; it cannot fall."""
        if not self.defined:
            return float("nan")
        best = 2.0 * self.tp / (self.tp + self.fp_above + self.positives)
        return max(float(best.max()) - self.f1_max()[0], 0.0)

    def miss_at_fpr(self, fpr: float) -> float:
        """Share of positives below the lowest threshold that keeps the false-positive rate.

        Raises:
            InputError: ``fpr`` lies outside of [0, 1).
        """
        check_share(fpr, "fpr")
        if not self.defined:
            return float("nan")
        allowed = int(np.floor(self.negatives * (fpr + 1e-12)))
        found = self.tp[self.fp <= allowed]
        return float(1.0 - found.max(initial=0) / self.positives)

    def fpr_at_tpr(self, tpr: float = 0.95) -> float:
        """False-positive rate at the highest threshold whose true-positive rate suffices.

        Raises:
            InputError: ``tpr`` lies outside of (0, 1].
        """
        check_fraction(tpr, "tpr")
        if not self.defined:
            return float("nan")
        # In floats 0.28 * 25 is a little above 7; the slack keeps 7 of 25 sufficient.
        needed = max(int(np.ceil(self.positives * (tpr - 1e-12))), 1)
        return float(self.fp[int(np.searchsorted(self.tp, needed))] / self.negatives)
