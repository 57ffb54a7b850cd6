"""95 % confidence intervals of figures on small test sets: what another sample could have given."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t

from dense.errors import InputError

Z = 1.959963984540054
"""97.5 % point of the normal distribution."""


def wilson_interval(share: float, count: int) -> tuple[float, float]:
    """Interval of a proportion (Wilson, JASA 1927).

    Args:
        share: Observed proportion in [0, 1].
        count: Number of trials.

    Raises:
        InputError: If there is no trial or the share is outside [0, 1].
    """
    if count < 1 or not 0 <= share <= 1:
        raise InputError(f"a share in [0, 1] of at least one trial is needed: {share} of {count}")
    centre = share + Z * Z / (2 * count)
    spread = Z * math.sqrt(share * (1 - share) / count + Z * Z / (4 * count * count))
    scale = 1 + Z * Z / count
    return max(0.0, (centre - spread) / scale), min(1.0, (centre + spread) / scale)


def mean_interval(values: ArrayLike) -> tuple[float, float]:
    """Student's interval of the mean of independent values; nan for a single one.

    Raises:
        InputError: If there is no value.
    """
    given = np.asarray(values, np.float64).ravel()
    if not len(given):
        raise InputError("an interval of a mean needs at least one value")
    if len(given) == 1:
        return math.nan, math.nan
    reach = float(t.ppf(0.975, len(given) - 1) * given.std(ddof=1) / math.sqrt(len(given)))
    return float(given.mean()) - reach, float(given.mean()) + reach


def auroc_interval(
    runs: Sequence[ArrayLike], labels: ArrayLike, *, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Bootstrap percentiles of the mean AUROC of several runs over the same test pictures.

    Normal and defective pictures are redrawn separately, the same draw for all runs (Efron and
    Tibshirani 1993, section 13.3).

    Args:
        runs: (N,) scores each.
        labels: (N,) 0 or 1.
        draws: Resamples.
        seed: Of the draws.

    Returns:
        2.5 and 97.5 percentiles; nan where only one class is present.
    """
    truth = np.asarray(labels).astype(bool)
    if truth.all() or not truth.any():
        return math.nan, math.nan
    wins = np.mean([_wins(np.asarray(scores, np.float64), truth) for scores in runs], axis=0)
    generator = np.random.default_rng(seed)
    rows = generator.multinomial(len(wins), np.full(len(wins), 1 / len(wins)), draws)
    columns = generator.multinomial(wins.shape[1], np.full(wins.shape[1], 1 / wins.shape[1]), draws)
    values = np.einsum("di,ij,dj->d", rows, wins, columns, optimize=True) / wins.size
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _wins(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(P, N) 1 where a defective picture scores above a normal one, ½ for ties: mean is AUROC."""
    difference = scores[truth][:, None] - scores[~truth][None]
    return (np.sign(difference) + 1) / 2
