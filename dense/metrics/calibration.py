"""Calibration of confidences against the truth."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics._checks import as_binary, as_finite


def calibration_counts(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 15
) -> NDArray[np.float64]:
    """Sum confidences and hits in equal bins (lo, hi] of the confidence.

    Args:
        confidence: Confidences in [0, 1] of any shape; 0 falls into the first bin.
        correct: Array of the same shape, 1 where the prediction is right.
        bins: Number of bins.

    Returns:
        (bins, 3): entries, sum of confidences, sum of hits; tables of several images may be
        added.

    Raises:
        InputError: Shapes differ, a confidence lies outside of [0, 1], ``correct`` is not
            0/1, or ``bins`` is below 1.
    """
    if bins < 1:
        raise InputError(f"bins must be at least 1, but it is {bins}; the usual number is 15.")
    values, hits = as_finite(confidence, "confidence").ravel(), as_binary(correct, "correct")
    if np.shape(confidence) != hits.shape:
        raise InputError(
            f"confidence and correct must have the same shape, but they have "
            f"{np.shape(confidence)} and {hits.shape}; pass one flag for each confidence."
        )
    if values.min() < 0.0 or values.max() > 1.0:
        raise InputError(
            f"confidence must lie in [0, 1], but it reaches from {values.min()} to "
            f"{values.max()}; pass probabilities, not logits."
        )
    edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    index = np.searchsorted(edges, values, side="left")
    columns = (None, values, hits.ravel())
    return np.stack([np.bincount(index, column, minlength=bins) for column in columns], axis=1)


def calibration_error(counts: ArrayLike) -> float:
    """Expected calibration error of summed counts.

    Args:
        counts: (bins, 3) as ``calibration_counts``.

    Returns:
        Mean of |accuracy - confidence| over the bins, weighted by entries, in [0, 1]; nan
        without entries.

    Raises:
        InputError: The counts are not (bins, 3).
    """
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 3:
        raise InputError(
            f"counts must have shape (bins, 3), but they have {array.shape}; "
            "pass the sum of calibration_counts over the images."
        )
    total = float(array[:, 0].sum())
    return float(np.abs(array[:, 2] - array[:, 1]).sum() / total) if total else float("nan")


def expected_calibration_error(confidence: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Expected calibration error with equal-width bins.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, equation 3.

    Args:
        confidence: Confidences in [0, 1] of any shape.
        correct: Array of the same shape, 1 where the prediction is right.
        bins: Number of bins (lo, hi].

    Returns:
        The error in [0, 1].

    Raises:
        InputError: As ``calibration_counts``.
    """
    return calibration_error(calibration_counts(confidence, correct, bins))
