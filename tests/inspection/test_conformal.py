"""Conformal thresholds: ranks by hand, and the promised shares by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from dense.errors import InputError
from dense.inspection.conformal import (
    bound,
    conformal_rank,
    conformal_threshold,
    lowest_alpha,
    parts_needed,
    spread_of_share,
)

TRIALS = 4000


def below(rate: float, alpha: float) -> bool:
    """Not above, within three standard errors of the simulation."""
    return rate <= alpha + 3 * (alpha * (1 - alpha) / TRIALS) ** 0.5


@pytest.mark.parametrize(
    ("count", "alpha", "fold", "rank"),
    [
        (9, 0.1, 1, 9),
        (8, 0.1, 1, None),
        (19, 0.05, 1, 19),
        (99, 0.01, 1, 99),
        (98, 0.01, 1, None),
        (99, 0.07, 1, 93),
        (10, 0.5, 1, 6),
        (20, 0.2, 5, 20),
        (20, 0.1, 5, None),
    ],
)
def test_rank_by_hand(count: int, alpha: float, fold: int, rank: int | None) -> None:
    assert conformal_rank(count, alpha, fold=fold) == rank


def test_threshold_is_a_score_of_a_good_part() -> None:
    scores = [5.0, 1.0, 3.0, 2.0, 4.0, 9.0, 7.0, 8.0, 6.0]
    assert conformal_threshold(scores, 0.1) == 9.0
    assert conformal_threshold(scores, 0.5) == 5.0
    assert conformal_threshold(scores, 0.5, regions=2) == 8.0
    assert bound(9, 0.1) == pytest.approx(0.1)
    assert bound(10, 0.1) == pytest.approx(1 / 11)
    assert bound(9, 0.5, regions=2) == pytest.approx(0.4)


def test_the_floor() -> None:
    assert lowest_alpha(4) == pytest.approx(0.2)
    assert lowest_alpha(99) == pytest.approx(0.01)
    assert lowest_alpha(20, fold=5) == pytest.approx(0.2)
    assert lowest_alpha(19, regions=3) == pytest.approx(0.15)
    assert parts_needed(0.01) == 99 and parts_needed(0.01, regions=3) == 299
    for alpha in (0.01, 0.05, 0.3):
        least = parts_needed(alpha)
        assert conformal_rank(least, alpha) is not None
        assert least == 1 or conformal_rank(least - 1, alpha) is None


def test_split_keeps_its_share_exactly() -> None:
    """Continuous scores: the rejected share is 1 − k / (n + 1), here α itself."""
    rng = np.random.default_rng(0)
    scores = rng.standard_cauchy((TRIALS, 20))
    rejected = [new > conformal_threshold(good, 0.1) for *good, new in scores.tolist()]
    assert np.mean(rejected) == pytest.approx(0.1, abs=0.015)


def test_split_with_ties_loses_less() -> None:
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 3, (TRIALS, 20)).astype(float)
    rejected = [new > conformal_threshold(good, 0.1) for *good, new in scores.tolist()]
    assert below(np.mean(rejected), 0.1)


def test_spread_over_calibrations() -> None:
    assert spread_of_share(99, 0.01) == pytest.approx(1 - 0.05 ** (1 / 99))
    rng = np.random.default_rng(2)
    shares = [1 - conformal_threshold(rng.uniform(size=99).tolist(), 0.05) for _ in range(2000)]
    assert np.mean(np.asarray(shares) <= spread_of_share(99, 0.05)) == pytest.approx(0.95, abs=0.02)


def test_regions_share_alpha() -> None:
    rng = np.random.default_rng(3)
    rejected = []
    for _ in range(TRIALS):
        good, new = rng.normal(size=(39, 2)), rng.normal(size=2)
        limits = [conformal_threshold(row, 0.1, regions=2) for row in good.T.tolist()]
        rejected.append((new > limits).any())
    assert below(np.mean(rejected), 0.1)
    assert np.mean(rejected) > 0.07


def _zscore(part: float, others: np.ndarray) -> float:
    """A score whose scale is learned: one more part can raise or lower it."""
    return abs(part - others.mean()) / others.std()


def _nearest(part: np.ndarray, others: np.ndarray) -> float:
    return float(np.linalg.norm(others - part, axis=1).min())


@pytest.mark.parametrize(("count", "fold", "alpha"), [(9, 1, 0.2), (10, 2, 0.25), (12, 4, 0.3)])
def test_folds_by_the_mildest_model(count: int, fold: int, alpha: float) -> None:
    rng = np.random.default_rng(4)
    rejected = []
    for _ in range(TRIALS):
        parts, new = rng.standard_t(2, count), rng.standard_t(2)
        folds = np.arange(count).reshape(-1, fold)
        scores, mildest = [], np.inf
        for left in folds:
            others = np.delete(parts, left)
            scores += [_zscore(part, others) for part in parts[left]]
            mildest = min(mildest, _zscore(new, others))
        rejected.append(mildest > conformal_threshold(scores, alpha, fold=fold))
    assert below(np.mean(rejected), alpha)


def test_leave_one_out_of_nearest_distances_needs_no_team() -> None:
    """The bound of `dense.inspection.calibration.NEVER_RAISED_BY_MORE`."""
    rng = np.random.default_rng(5)
    rejected = []
    for _ in range(TRIALS):
        parts, new = rng.standard_t(3, (9, 2)), rng.standard_t(3, 2)
        scores = [_nearest(parts[n], np.delete(parts, n, 0)) for n in range(9)]
        rejected.append(_nearest(new, parts) > conformal_threshold(scores, 0.2))
    assert below(np.mean(rejected), 0.2)
    assert np.mean(rejected) > 0.1


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"smallest bound .* is 0.2; state 0.2 or more, or bring"):
        conformal_threshold([1.0, 2.0, 3.0, 4.0], 0.05)
    with pytest.raises(InputError, match="bring at least 19 good parts"):
        conformal_threshold([1.0, 2.0, 3.0, 4.0], 0.05)
    with pytest.raises(InputError, match=r"in folds of 5 .* at least 9 folds"):
        conformal_threshold([1.0] * 20, 0.1, fold=5)
    with pytest.raises(InputError, match=r"in 3 regions .* no bound at all"):
        conformal_threshold([1.0, 2.0], 0.5, regions=3)
    with pytest.raises(InputError, match="between 0 and 1, got 1"):
        conformal_rank(5, 1.0)
    with pytest.raises(InputError, match="at least one good part"):
        conformal_rank(0, 0.5)
    with pytest.raises(InputError, match="not finite"):
        conformal_threshold([1.0, float("nan")], 0.5)
    with pytest.raises(InputError, match="cannot promise"):
        bound(3, 0.1)
    with pytest.raises(InputError, match="cannot promise"):
        spread_of_share(3, 0.1)
