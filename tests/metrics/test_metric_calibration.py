from __future__ import annotations

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics import calibration_counts, calibration_error, expected_calibration_error


def test_hand_worked():
    confidence, correct = [0.9, 0.8, 0.6, 0.3], [1, 0, 1, 0]
    # Two bins: (0, 0.5] holds 0.3, wrong; (0.5, 1] holds 2.3 against 2 hits.
    assert expected_calibration_error(confidence, correct, 2) == pytest.approx((0.3 + 0.3) / 4)


def test_bins_are_closed_above():
    counts = calibration_counts([0.0, 0.5, 0.5000001, 1.0], [1, 0, 1, 1], 2)
    assert counts[:, 0].tolist() == [2, 2]
    assert counts[:, 2].tolist() == [1, 2]


def test_perfectly_calibrated_and_perfectly_wrong():
    assert expected_calibration_error(np.full(4, 0.75), [1, 1, 1, 0]) == pytest.approx(0)
    assert expected_calibration_error(np.ones(5), np.zeros(5)) == 1.0


def test_equals_a_loop_over_bins_and_images_add_up():
    rng = np.random.default_rng(0)
    confidence = rng.random((2, 30, 40))
    correct = rng.random((2, 30, 40)) < confidence**2
    error = 0.0
    for low in range(15):
        inside = (confidence > low / 15) & (confidence <= (low + 1) / 15)
        gap = abs(correct[inside].mean() - confidence[inside].mean())
        error += inside.mean() * gap
    assert expected_calibration_error(confidence, correct) == pytest.approx(error)
    total = sum(calibration_counts(*pair) for pair in zip(confidence, correct, strict=True))
    assert calibration_error(total) == pytest.approx(error)


def test_no_entries_is_undefined():
    assert np.isnan(calibration_error(np.zeros((15, 3))))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: expected_calibration_error([0.5], [1, 0]), "same shape"),
        (lambda: expected_calibration_error([1.5], [1]), r"must lie in \[0, 1\]"),
        (lambda: expected_calibration_error([], []), "at least one value"),
        (lambda: expected_calibration_error([np.nan], [1]), "confidence must be finite"),
        (lambda: expected_calibration_error([0.5], [2]), "correct must hold only 0 and 1"),
        (lambda: expected_calibration_error([0.5], [1], 0), "bins must be at least 1"),
        (lambda: calibration_error(np.zeros((15, 2))), r"shape \(bins, 3\)"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(InputError, match=match):
        call()
