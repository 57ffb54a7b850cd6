"""Panoptic quality: how well segments are found, and how well they fit.

Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.1; void and crowds as in its authors'
evaluation code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.structures import PanopticSegments


@dataclass(frozen=True)
class PanopticCounts:
    """Sums over pictures, (K,) each: segments found, invented, missed; the IoU of those found."""

    found: NDArray[np.int64]
    invented: NDArray[np.int64]
    missed: NDArray[np.int64]
    iou: NDArray[np.float64]

    def __add__(self, other: PanopticCounts) -> PanopticCounts:
        return PanopticCounts(
            self.found + other.found,
            self.invented + other.invented,
            self.missed + other.missed,
            self.iou + other.iou,
        )


def panoptic_counts(
    predicted: PanopticSegments, truth: PanopticSegments, classes: int
) -> PanopticCounts:
    """Match the segments of one picture: same class and an IoU above one half, so at most one pair.

    Void pixels of the truth are taken from the union; a predicted segment more than half of whose
    pixels are void or crowds of its class is no false alarm. Segments without pixels do not exist.
    A picture with several crowds of one class: all of them count here, the last one alone in the
    authors' code.

    Args:
        predicted: What was found; its crowd flags do not count.
        truth: What there is.
        classes: K.

    Raises:
        InputError: If the sizes differ, or a label is no class.
    """
    if predicted.segment_map.shape != truth.segment_map.shape:
        raise InputError(
            f"segments {predicted.segment_map.shape} and truth {truth.segment_map.shape} must have "
            "one size"
        )
    for labels in (predicted.labels, truth.labels):
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise InputError(f"labels of segments must lie in [0, {classes}), got {labels.max()}")
    rows, columns = len(truth.labels) + 1, len(predicted.labels) + 1
    pairs = truth.segment_map.ravel() * columns + predicted.segment_map.ravel()
    shared = np.bincount(pairs, minlength=rows * columns).reshape(rows, columns)
    crowd = np.zeros(len(truth.labels), bool) if truth.crowd is None else truth.crowd
    there, area = shared[1:].sum(1), shared[:, 1:].sum(0)
    void, inside = shared[0, 1:], shared[1:, 1:]
    same = truth.labels[:, None] == predicted.labels
    union = there[:, None] + area - inside - void
    overlap = inside / np.maximum(union, 1)
    match = same & ~crowd[:, None] & (overlap > 0.5)
    ignored = void + (inside * (same & crowd[:, None])).sum(0)
    alarm = ~match.any(0) & (area > 0) & (ignored <= 0.5 * area)
    lost = ~match.any(1) & (there > 0) & ~crowd
    t, p = np.nonzero(match)

    def count(labels: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.bincount(labels, minlength=classes)

    return PanopticCounts(
        count(truth.labels[t]),
        count(predicted.labels[alarm]),
        count(truth.labels[lost]),
        np.bincount(truth.labels[t], overlap[t, p], minlength=classes).astype(np.float64),
    )


def panoptic_quality(counts: PanopticCounts) -> dict[str, NDArray[np.float64]]:
    """`pq`, `sq`, `rq` (K,) in [0, 1] of each class; nan where it neither occurs nor is found.

    PQ = SQ · RQ: the mean IoU of segments that are found (0 if none is), and their F1 score.
    """
    weight = counts.found + 0.5 * counts.invented + 0.5 * counts.missed
    present = np.where(weight > 0, weight, np.nan)
    rq = counts.found / present
    sq = np.where(weight > 0, counts.iou / np.maximum(counts.found, 1), np.nan)
    return {"pq": counts.iou / present, "sq": sq, "rq": rq}


def panoptic_scores(counts: PanopticCounts, things: Sequence[bool]) -> dict[str, float]:
    """Means over classes in percent: `pq`, `sq`, `rq`, and each with `_things` and `_stuff`.

    Args:
        counts: Sums over all pictures.
        things: (K,) whether a class is countable.
    """
    countable = np.asarray(things, bool)
    groups = {"": np.ones(len(countable), bool), "_things": countable, "_stuff": ~countable}
    quality = panoptic_quality(counts)
    scores = {}
    for ending, group in groups.items():
        for name, values in quality.items():
            kept = values[group & ~np.isnan(values)]
            scores[name + ending] = 100 * float(kept.mean()) if len(kept) else float("nan")
    return scores
