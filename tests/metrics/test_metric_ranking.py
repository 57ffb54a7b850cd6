from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from dense.errors import InputError
from dense.metrics import (
    auroc,
    average_precision,
    escape_at_overkill,
    f1_max,
    fpr_at_tpr,
    overkill_at_escape,
    rank_curve,
)

METRICS = (auroc, average_precision, lambda s, y: f1_max(s, y)[0], fpr_at_tpr)
METRICS += (overkill_at_escape, escape_at_overkill)


def random_case(seed: int, levels: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = rng.random(300) < 0.3
    labels[:2] = True, False
    return np.floor((rng.random(300) + 0.4 * labels) * levels) / levels, labels


@pytest.mark.parametrize(
    ("scores", "labels", "value", "threshold"),
    [
        ([0.1, 0.5, 0.9, 1.0], [0, 1, 1, 1], 1.0, 0.5),
        ([0.1, 0.5, 0.9, 0.1], [0, 1, 1, 1], 6 / 7, 0.1),
        ([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.8, 0.35),
        ([2.3, 1.6, 2.6, 7.9, 3.3], [0, 0, 0, 1, 1], 1.0, 3.3),
    ],
)
def test_f1_max_known_values(scores, labels, value, threshold):
    assert f1_max(scores, labels) == pytest.approx((value, threshold))


def test_f1_max_takes_the_lowest_of_equal_thresholds():
    # Both 0.9 (TP 1, FP 0) and 0.3 (TP 2, FP 2) give F1 = 2/3.
    assert f1_max([0.9, 0.5, 0.4, 0.3], [1, 0, 0, 1]) == pytest.approx((2 / 3, 0.3))


def test_hand_worked_ties():
    scores, labels = [3, 2, 2, 2, 1], [1, 1, 0, 0, 0]
    # Pairs: 3 beats 3 negatives; 2 ties with two (1/2 each) and beats one.
    assert auroc(scores, labels) == pytest.approx((3 + 2) / 6)
    assert average_precision(scores, labels) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert fpr_at_tpr(scores, labels, 0.5) == 0.0
    assert fpr_at_tpr(scores, labels, 0.95) == pytest.approx(2 / 3)


def test_all_scores_equal():
    scores, labels = np.zeros(8), [1, 1, 0, 0, 0, 0, 0, 0]
    assert auroc(scores, labels) == 0.5
    assert average_precision(scores, labels) == 0.25
    assert fpr_at_tpr(scores, labels) == 1.0
    assert rank_curve(scores, labels).area_error() == 0.5


@pytest.mark.parametrize("levels", [3, 20, 10**6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scikit_learn_agrees(levels, dtype):
    for seed in range(5):
        scores, labels = random_case(seed, levels)
        scores = scores.astype(dtype)
        assert auroc(scores, labels) == pytest.approx(sk.roc_auc_score(labels, scores))
        expected = sk.average_precision_score(labels, scores)
        assert average_precision(scores, labels) == pytest.approx(expected)
        precision, recall, thresholds = sk.precision_recall_curve(labels, scores)
        f1 = (2 * precision * recall / np.maximum(precision + recall, 1e-12))[:-1]
        assert f1_max(scores, labels) == pytest.approx((f1.max(), thresholds[f1.argmax()]))
        fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
        assert fpr_at_tpr(scores, labels, 0.9) == pytest.approx(fpr[tpr >= 0.9][0])


def test_a_rate_that_rounds_up_needs_no_extra_positive():
    scores, labels = np.arange(50), np.tile([0, 1], 25)
    # The 7th highest positive is 37, above it and beside it are the normals 38, 40, ... 48.
    assert fpr_at_tpr(scores, labels, 0.28) == pytest.approx(6 / 25)


def test_area_up_to_a_limit_is_the_cut_trapezoid():
    scores, labels = random_case(7, 12)
    fpr, tpr, _ = sk.roc_curve(labels, scores, drop_intermediate=False)
    grid = np.unique(np.append(fpr[fpr < 0.25], 0.25))
    # Vertical pieces of the curve have no area, so their upper ends suffice; the first
    # point is the upper end of the piece at rate 0.
    tops = np.array([np.interp(g, fpr, tpr) if g not in fpr else tpr[fpr == g].max() for g in grid])
    bottoms = np.array(
        [np.interp(g, fpr, tpr) if g not in fpr else tpr[fpr == g].min() for g in grid]
    )
    area = np.sum(np.diff(grid) * (tops[:-1] + bottoms[1:]) / 2) / 0.25
    assert rank_curve(scores, labels).area(0.25) == pytest.approx(area)
    assert rank_curve(scores, labels).area() == pytest.approx(auroc(scores, labels))


@pytest.mark.parametrize("metric", METRICS)
def test_only_the_order_of_scores_matters(metric):
    scores, labels = random_case(3, 15)
    shuffle = np.random.default_rng(0).permutation(scores.size)
    expected = metric(scores, labels)
    assert metric(np.exp(3 * scores) - 100, labels) == expected
    assert metric(scores[shuffle], labels[shuffle]) == expected
    assert metric(scores.reshape(20, 15), labels.reshape(20, 15)) == expected


def test_reversed_scores_mirror_auroc():
    scores, labels = random_case(4, 9)
    assert auroc(-scores, labels) == pytest.approx(1 - auroc(scores, labels))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("label", [0, 1])
def test_single_class_is_undefined(metric, label):
    assert np.isnan(metric([0.1, 0.2, 0.2], [label] * 3))


@pytest.mark.parametrize("label", [0, 1])
def test_single_class_threshold_and_areas_are_undefined(label):
    curve = rank_curve([0.1, 0.2], [label] * 2)
    assert np.isnan([*curve.f1_max(), curve.area(0.3), curve.area_error()]).all()


def test_overkill_keeps_the_escape_limit():
    bad, good = np.arange(50) / 50, np.arange(100) / 100
    scores, labels = np.append(bad, good), np.repeat([1, 0], [50, 100])
    # 2 percent of 50: exactly one may pass, so the threshold is 0.02 and 98 goods are above.
    assert overkill_at_escape(scores, labels, 0.02) == pytest.approx(0.98)
    assert overkill_at_escape(scores, labels, 0.0) == 1.0
    assert overkill_at_escape(scores, labels, 0.019) == 1.0
    assert overkill_at_escape([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.2) == 0.5


def test_escape_keeps_the_overkill_limit():
    bad, good = np.arange(50) / 50, np.arange(100) / 100
    scores, labels = np.append(bad, good), np.repeat([1, 0], [50, 100])
    # 2 goods may fall, those at 0.99 and 0.98; the bad at 0.98 ties with the second: 1 of 50.
    assert escape_at_overkill(scores, labels, 0.02) == pytest.approx(0.98)
    assert escape_at_overkill(scores, labels, 0.0) == 1.0
    assert escape_at_overkill([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.0) == 0.5
    assert escape_at_overkill([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1], 0.5) == 0.0
    assert escape_at_overkill([0.9, 0.1], [0, 1]) == 1.0


def test_bounds_of_precision_and_f1_are_those_of_the_best_and_the_worst_order():
    curve = rank_curve([0.5, 0.5, 0.5, 0.1], [1, 1, 0, 0])
    # Tied: precision 2/3 for both. Best order 1 1 0: precision 1. Worst 0 1 1: at least 1/2.
    assert curve.average_precision() == pytest.approx(2 / 3)
    assert curve.average_precision_error() == pytest.approx(1 / 3)
    assert curve.f1_max()[0] == pytest.approx(0.8)
    assert curve.f1_max_error() == pytest.approx(0.2)
    apart = rank_curve([0.4, 0.3, 0.2, 0.1], [1, 0, 1, 0])
    assert apart.average_precision_error() == pytest.approx(0)
    assert apart.f1_max_error() == 0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: auroc([0.1, 0.2], [0, 1, 1]), r"same shape, but they have \(2,\) and \(3,\)"),
        (lambda: auroc([], []), "at least one value"),
        (lambda: auroc([0.1, np.nan], [0, 1]), "1 of 2 values are nan or infinite"),
        (lambda: auroc([0.1, np.inf], [0, 1]), "1 of 2 values are nan or infinite"),
        (lambda: auroc([0.1, 0.2], [0, 2]), "labels must hold only 0 and 1, but it holds 2"),
        (lambda: fpr_at_tpr([0.1, 0.2], [0, 1], 95), "tpr must be a fraction"),
        (lambda: rank_curve([0.1, 0.2], [0, 1]).area(0.0), "limit must be a fraction"),
        (lambda: rank_curve([0.1, 0.2], [0, 1]).area_error(30), "limit must be a fraction"),
        (lambda: overkill_at_escape([0.1, 0.2], [0, 1], 1.0), r"escape must be .* \[0, 1\)"),
        (lambda: escape_at_overkill([0.1, 0.2], [0, 1], -0.1), r"overkill must be .* \[0, 1\)"),
        (lambda: rank_curve([0.1, 0.2], [0, 1]).miss_at_fpr(2), "fpr must be a fraction"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(InputError, match=match):
        call()
