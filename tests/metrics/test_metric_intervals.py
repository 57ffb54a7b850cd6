"""Confidence intervals against published values, coverage by simulation, and limits."""

import math

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics import auroc
from dense.metrics.intervals import _wins, auroc_interval, mean_interval, wilson_interval


def test_wilson_by_hand():
    # 81 of 263: Newcombe, Statistics in Medicine 1998, table I
    assert wilson_interval(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.8830, 1.0), abs=5e-5)


def test_interval_of_a_mean_by_hand():
    # mean 2, deviation 1, three values: 4.3027 (Student, 2 degrees) / sqrt(3)
    assert mean_interval([1, 2, 3]) == pytest.approx((-0.4841, 4.4841), abs=5e-5)
    assert all(math.isnan(value) for value in mean_interval([5.0]))
    with pytest.raises(InputError, match="at least one value"):
        mean_interval([])


def test_mean_of_wins_is_auroc():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 50)
    scores = rng.integers(0, 9, 50) + labels
    assert _wins(scores.astype(float), labels.astype(bool)).mean() == pytest.approx(
        auroc(scores, labels)
    )


def test_bootstrap_covers_the_truth():
    """Normal scores one deviation apart: the true AUROC is Φ(1/√2) = 0.760."""
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 40)
    inside = 0
    for trial in range(120):
        scores = rng.normal(labels, 1.0)
        low, high = auroc_interval([scores], labels, draws=400, seed=trial)
        inside += low <= 0.7602 <= high
    assert 0.87 <= inside / 120 <= 0.99


def test_runs_are_averaged_and_one_class_is_undefined():
    labels = [0, 0, 1, 1]
    good, bad = [0, 1, 2, 3], [3, 2, 1, 0]
    assert auroc_interval([good], labels) == (1.0, 1.0)
    assert auroc_interval([good, bad], labels) == (0.5, 0.5)
    assert all(math.isnan(value) for value in auroc_interval([good], [1, 1, 1, 1]))
    with pytest.raises(InputError, match="at least one trial"):
        wilson_interval(0.5, 0)
