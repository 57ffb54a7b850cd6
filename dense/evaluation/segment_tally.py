"""Counts of a segmentation over a data set: what every score of it is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dense.metrics import (
    SegmentationCounts,
    boundary_scores,
    calibration_counts,
    calibration_error,
    segmentation_scores,
)
from dense.postprocess import undecided_index
from dense.structures import SegmentationResult

IGNORE = 255
BINS = 15


class SegmentTally:
    """Adds up pictures; tallies of parts of a data set add up to that of the whole.

    Undecided pixels are wrong: they count as truth of their class and as prediction of none.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        size = classes + 1  # the last prediction is "undecided"
        self.counts = SegmentationCounts(
            np.zeros((size, size), np.int64), np.zeros((size, 2), np.int64)
        )
        self.calibration = np.zeros((BINS, 3))

    def add(self, result: SegmentationResult, target: NDArray[np.int64]) -> float:
        """Count a picture.

        Args:
            result: What was predicted.
            target: (H, W) class indices, `IGNORE` where nothing is known.

        Returns:
            The picture's own mean IoU in percent, for finding telling pictures only.
        """
        k = self.classes
        undecided = result.class_map == undecided_index(k)
        predicted = np.where(undecided, k, result.class_map)
        counts = SegmentationCounts.from_maps(predicted, target, k + 1, IGNORE)
        self.counts = self.counts + counts
        known = target != IGNORE
        if result.confidence is not None and known.any():
            right = (result.class_map == target)[known]
            self.calibration += calibration_counts(result.confidence[known], right, BINS)
        return _mean(self._classes(counts)["iou"])

    def scores(self) -> dict[str, float]:
        """mIoU, mAcc, aAcc, boundary mIoU and ECE in percent; nan where undefined."""
        by_class = self._classes(self.counts)
        return {
            "miou": _mean(by_class["iou"]),
            "macc": _mean(by_class["acc"]),
            "aacc": float(segmentation_scores(self.counts.confusion)["aacc"]),
            "boundary_miou": _mean(by_class["boundary_iou"]),
            "ece": 100 * float(calibration_error(self.calibration)),
        }

    def per_class(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """IoU, accuracy and boundary IoU of every class in percent, and its share of the truth."""
        by_class = self._classes(self.counts)
        truth = self.counts.confusion.sum(1)[: self.classes]
        shares = 100 * truth / max(1, truth.sum())
        return [
            {"class": name, **{key: float(v[k]) for key, v in by_class.items()}, "share": shares[k]}
            for k, name in enumerate(names)
        ]

    def to_json(self) -> dict[str, Any]:
        """The counts; of the confusion only entries above zero: [true, predicted, pixels]."""
        true, predicted = np.nonzero(self.counts.confusion)
        pixels = self.counts.confusion[true, predicted]
        return {
            "classes": self.classes,
            "confusion": np.stack([true, predicted, pixels], 1).tolist(),
            "boundary": self.counts.boundary.tolist(),
            "calibration": self.calibration.tolist(),
        }

    def add_json(self, content: Mapping[str, Any]) -> None:
        """Add what `to_json` gave."""
        true, predicted, pixels = np.array(content["confusion"], np.int64).reshape(-1, 3).T
        self.counts.confusion[true, predicted] += pixels
        self.counts.boundary[:] += np.array(content["boundary"], np.int64)
        self.calibration += np.array(content["calibration"])

    def _classes(self, counts: SegmentationCounts) -> dict[str, NDArray[np.float64]]:
        scores, boundary = segmentation_scores(counts.confusion), boundary_scores(counts.boundary)
        found = {
            "iou": scores["iou_per_class"],
            "acc": scores["acc_per_class"],
            "boundary_iou": boundary["boundary_iou_per_class"],
        }
        return {key: np.array(values)[: self.classes] for key, values in found.items()}


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")
