"""Ranking metrics of scores against binary labels, exact with ties.

All functions return fractions in [0, 1]; where only one class is present the metrics are undefined
and nan is returned. Whoever needs several of them sorts once with `rank_curve`.
"""

from __future__ import annotations

from numpy.typing import ArrayLike

from dense.errors import InputError
from dense.metrics._checks import as_binary, as_finite, check_share
from dense.metrics.rank_curve import RankCurve


def rank_curve(scores: ArrayLike, labels: ArrayLike) -> RankCurve:
    """Sort scores once for all ranking metrics.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 anomalous, 0 normal.

    Returns:
        The curve from which every metric of `RankCurve` can be read.

    Raises:
        InputError: Shapes differ, scores are empty or not finite, labels are not 0 or 1.
    """
    values, truth = as_finite(scores, "scores"), as_binary(labels, "labels")
    if values.shape != truth.shape:
        raise InputError(
            f"scores and labels must have the same shape, but they have {values.shape} and "
            f"{truth.shape}; pass one label for each score."
        )
    return RankCurve.from_scores(values[truth], values[~truth])


def auroc(scores: ArrayLike, labels: ArrayLike) -> float:
    """Area under the ROC curve in [0, 1]; ties count one half; nan for a single class.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 anomalous, 0 normal.

    Raises:
        InputError: As ``rank_curve``.
    """
    return rank_curve(scores, labels).auroc()


def average_precision(scores: ArrayLike, labels: ArrayLike) -> float:
    """Step-wise average precision in [0, 1] (no trapezoid); nan for a single class.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 anomalous, 0 normal.

    Raises:
        InputError: As ``rank_curve``.
    """
    return rank_curve(scores, labels).average_precision()


def f1_max(scores: ArrayLike, labels: ArrayLike) -> tuple[float, float]:
    """Largest F1 over the whole precision-recall curve and its threshold.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 anomalous, 0 normal.

    Returns:
        (value in [0, 1], threshold); anomalous means score >= threshold, and of several
        optimal thresholds the lowest is given. (nan, nan) for a single class.

    Raises:
        InputError: As ``rank_curve``.
    """
    return rank_curve(scores, labels).f1_max()


def fpr_at_tpr(scores: ArrayLike, labels: ArrayLike, tpr: float = 0.95) -> float:
    """Share of normals at or above the highest threshold that finds ``tpr`` of the anomalous.

    No interpolation: the threshold is one of the scores. nan for a single class.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 anomalous, 0 normal.
        tpr: Required true-positive rate in (0, 1].

    Raises:
        InputError: As ``rank_curve``, or ``tpr`` lies outside of (0, 1].
    """
    return rank_curve(scores, labels).fpr_at_tpr(tpr)


def overkill_at_escape(scores: ArrayLike, labels: ArrayLike, escape: float = 0.02) -> float:
    """Share of good parts rejected when at most ``escape`` of the bad parts pass.

    The escape rate is kept as a hard limit: with 10 bad parts and 2 percent, none may pass.
    (PGn, which interpolates the quantile of the scores, may let more pass on few parts.)

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 bad, 0 good.
        escape: Highest share of bad parts that may be accepted, in [0, 1).

    Returns:
        Overkill in [0, 1]; nan for a single class.

    Raises:
        InputError: As ``rank_curve``, or ``escape`` lies outside of [0, 1).
    """
    check_share(escape, "escape")
    return rank_curve(scores, labels).fpr_at_tpr(1.0 - escape)


def escape_at_overkill(scores: ArrayLike, labels: ArrayLike, overkill: float = 0.02) -> float:
    """Share of bad parts accepted when at most ``overkill`` of the good parts are rejected.

    The counterpart of ``overkill_at_escape``, with as hard a limit: with 10 good parts and 2
    percent, none may be rejected.

    Args:
        scores: Finite scores of any shape, higher = more anomalous.
        labels: Array of the same shape, 1 bad, 0 good.
        overkill: Highest share of good parts that may be rejected, in [0, 1).

    Returns:
        Escape in [0, 1]; nan for a single class.

    Raises:
        InputError: As ``rank_curve``, or ``overkill`` lies outside of [0, 1).
    """
    check_share(overkill, "overkill")
    return rank_curve(scores, labels).miss_at_fpr(overkill)
