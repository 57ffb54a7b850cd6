"""How well regions are named: accuracy, over all and by the size of the object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.metrics.calibration import expected_calibration_error

SMALL, LARGE = 32**2, 96**2
"""COCO's bounds in square pixels: small below the first, large from the second on."""


def naming_scores(
    labels: NDArray[np.integer], best: NDArray[np.integer], sure: NDArray[np.floating]
) -> dict[str, float]:
    """Accuracy over regions and as means over the classes that occur, in percent.

    Args:
        labels: (R,) true classes.
        best: (R, n) classes from the likeliest on; with n = 5 `top5` is what its name says.
        sure: (R,) probability of the first.

    Returns:
        `top1`, `top5`, `mean_top1`, `mean_top5`, `ece` (calibration error), and `count`; nan
        without a region.
    """
    if not len(labels):
        names = ("top1", "top5", "mean_top1", "mean_top5", "ece")
        return {**dict.fromkeys(names, float("nan")), "count": 0.0}
    hits = best == labels[:, None]
    first, any_of = hits[:, 0], hits.any(1)
    classes = [labels == k for k in np.unique(labels)]
    return {
        "top1": 100 * float(first.mean()),
        "top5": 100 * float(any_of.mean()),
        "mean_top1": 100 * float(np.mean([first[rows].mean() for rows in classes])),
        "mean_top5": 100 * float(np.mean([any_of[rows].mean() for rows in classes])),
        "ece": 100 * float(expected_calibration_error(sure, first)),
        "count": float(len(labels)),
    }


def size_groups(areas: NDArray[np.floating]) -> dict[str, NDArray[np.bool_]]:
    """Which regions are small, whatever small means.

    Thirds are cut by rank, equal areas in the order given, so they differ by one region at most;
    `small`, `medium` and `large` are COCO's fixed bounds, and may be empty.

    Args:
        areas: (R,) of the boxes, in square pixels of the original picture.

    Returns:
        (R,) masks named `smallest_third`, `middle_third`, `largest_third`, `small`, `medium`,
        `large`.

    Raises:
        InputError: If an area is not a positive number.
    """
    values = np.asarray(areas, np.float64)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise InputError("areas of regions must be positive numbers of square pixels")
    rank = np.empty(len(values), np.int64)
    rank[np.argsort(values, kind="stable")] = np.arange(len(values))
    third = 3 * rank // max(1, len(values))
    small, large = values < SMALL, values >= LARGE
    return {
        "smallest_third": third == 0,
        "middle_third": third == 1,
        "largest_third": third == 2,
        "small": small,
        "medium": ~small & ~large,
        "large": large,
    }


def naming_by_size(
    labels: NDArray[np.integer],
    best: NDArray[np.integer],
    sure: NDArray[np.floating],
    areas: NDArray[np.floating],
) -> dict[str, float]:
    """`naming_scores`, then `top1_GROUP` and `count_GROUP` of each of `size_groups`."""
    scores = naming_scores(labels, best, sure)
    for group, rows in size_groups(areas).items():
        part = naming_scores(labels[rows], best[rows], sure[rows])
        scores[f"top1_{group}"], scores[f"count_{group}"] = part["top1"], part["count"]
    return scores
