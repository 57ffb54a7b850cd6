"""Curve areas and rank correlation, by hand and against SciPy."""

import numpy as np
import pytest
from scipy.stats import spearmanr

from dense.errors import InputError
from dense.metrics.explanation import curve_area, rank_correlation


def test_area_by_hand():
    assert curve_area([1.0, 0.5, 0.0]) == 0.5
    assert curve_area([0.0, 1.0, 1.0]) == 0.75  # trapezoids 1/4 and 1/2
    assert curve_area([3.0, 3.0]) == 3.0


def test_rank_correlation_is_scipys_with_ties():
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 9, (5, 8)), rng.normal(size=(5, 8))
    expected = spearmanr(one.ravel(), other.ravel()).statistic
    assert rank_correlation(one, other) == pytest.approx(expected, abs=1e-12)
    assert rank_correlation(other, np.exp(other)) == pytest.approx(1)
    assert rank_correlation(other, -other) == pytest.approx(-1)
    assert np.isnan(rank_correlation(other, np.ones((5, 8))))


def test_what_cannot_be_measured():
    with pytest.raises(InputError, match="2 or more finite scores"):
        curve_area([1.0])
    with pytest.raises(InputError, match="2 or more finite scores"):
        curve_area([1.0, float("nan")])
    with pytest.raises(InputError, match="must have one size"):
        rank_correlation(np.ones(3), np.ones(4))
