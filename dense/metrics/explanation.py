"""Whether an explanation is true to its model: perturbation curves and rank correlation.

Deletion and insertion: Petsiuk et al., "RISE", BMVC 2018, arXiv:1806.07421. Correlation with the
map of a model with random weights: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS
2018, arXiv:1810.03292.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata

from dense.errors import InputError


def curve_area(scores: ArrayLike) -> float:
    """Area under scores at evenly spaced shares 0, …, 1, by trapezoids: their mean height.

    Args:
        scores: (S,) with 2 or more values.

    Raises:
        InputError: If there are fewer, or one is not finite.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise InputError(
            f"a curve needs 2 or more finite scores in a row, got shape {values.shape}"
        )
    return float((values[:-1] + values[1:]).mean() / 2)


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Spearman's correlation of two maps, ties with their mean rank; nan if one is constant.

    Raises:
        InputError: If the sizes differ.
    """
    left, right = np.asarray(one, np.float64).ravel(), np.asarray(other, np.float64).ravel()
    if left.shape != right.shape:
        raise InputError(
            f"maps to correlate must have one size, got {np.shape(one)} and {np.shape(other)}"
        )
    ranks = [rankdata(values) - (len(values) + 1) / 2 for values in (left, right)]
    length = float(np.linalg.norm(ranks[0]) * np.linalg.norm(ranks[1]))
    return float(ranks[0] @ ranks[1]) / length if length else float("nan")
