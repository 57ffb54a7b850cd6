"""Segmentation metrics from counts that are summed over the whole data set.

Counts (``confusion_matrix``, ``boundary_counts``) add up over images;
scores are computed once from the sums. Averages of per-image scores are not offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dense.errors import InputError
from dense.metrics._checks import as_binary, check_fraction


class SegmentationScores(TypedDict):
    """Result of ``segmentation_scores``, all in percent, nan where undefined."""

    miou: float
    macc: float
    aacc: float
    iou_per_class: list[float]
    acc_per_class: list[float]


class BoundaryScores(TypedDict):
    """Result of ``boundary_scores``, all in percent, nan where undefined."""

    boundary_miou: float
    boundary_iou_per_class: list[float]


def confusion_matrix(
    pred: ArrayLike, target: ArrayLike, num_classes: int, ignore_index: int = 255
) -> NDArray[np.int64]:
    """Count pixels by true class (row) and predicted class (column).

    Args:
        pred: (H, W) predicted class indices in [0, K), or any other shape.
        target: True class indices of the same shape, or ``ignore_index``.
        num_classes: K.
        ignore_index: Target value whose pixels are left out, whatever was predicted there.

    Returns:
        (K, K) counts; matrices of several images may be added.

    Raises:
        InputError: Shapes differ, indices are not integers, or one lies outside of [0, K).
    """
    pred, target = _class_maps(pred, target, num_classes, ignore_index)
    valid = target != ignore_index
    index = target[valid].astype(np.int64) * num_classes + pred[valid]
    counts = np.bincount(index, minlength=num_classes * num_classes)
    return counts.reshape(num_classes, num_classes).astype(np.int64)


def segmentation_scores(confusion: ArrayLike) -> SegmentationScores:
    """Mean IoU, mean accuracy and pixel accuracy of summed counts, in percent.

    The convention is that of MMSegmentation's IoUMetric: IoU = TP / (truth + prediction - TP),
    accuracy = TP / truth, and the means leave out nan. A class absent from both truth and
    prediction is nan and does not count; one that is predicted but never true has IoU 0, which
    counts, and accuracy nan.

    Args:
        confusion: (K, K) counts, rows = truth, columns = prediction, summed over the data set.

    Returns:
        ``miou``, ``macc``, ``aacc`` and the (K,) lists ``iou_per_class``, ``acc_per_class``;
        all nan if no pixel was counted.

    Raises:
        InputError: The counts are not a square matrix.
    """
    counts = np.asarray(confusion, dtype=np.float64)
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise InputError(
            f"confusion must have shape (K, K), but it has {counts.shape}; "
            "pass the sum of confusion_matrix over the images."
        )
    hits, truth = np.diag(counts), counts.sum(axis=1)
    iou = _percent(hits, truth + counts.sum(axis=0) - hits)
    acc = _percent(hits, truth)
    return SegmentationScores(
        miou=_mean(iou),
        macc=_mean(acc),
        aacc=float(_percent(hits.sum(), truth.sum())),
        iou_per_class=iou.tolist(),
        acc_per_class=acc.tolist(),
    )


@dataclass(frozen=True)
class SegmentationCounts:
    """Counts of one image, or by ``+`` of many.

    Attributes:
        confusion: (K, K) as ``confusion_matrix``.
        boundary: (K, 2) as ``boundary_counts``.
    """

    confusion: NDArray[np.int64]
    boundary: NDArray[np.int64]

    @classmethod
    def from_maps(
        cls, pred: ArrayLike, target: ArrayLike, num_classes: int, ignore_index: int = 255
    ) -> SegmentationCounts:
        """Count one image; arguments and errors as ``boundary_counts``."""
        return cls(
            confusion=confusion_matrix(pred, target, num_classes, ignore_index),
            boundary=boundary_counts(pred, target, num_classes, ignore_index=ignore_index),
        )

    def __add__(self, other: SegmentationCounts) -> SegmentationCounts:
        """Sum the counts of different images."""
        return SegmentationCounts(self.confusion + other.confusion, self.boundary + other.boundary)


def mask_boundary(mask: ArrayLike, dilation_ratio: float = 0.02) -> NDArray[np.bool_]:
    """Pixels of a mask within a distance of its contour.

    The distance is ``dilation_ratio`` times the image diagonal, rounded, at least 1 pixel,
    measured as the number of 3x3 erosions; the image border is part of the contour.

    Args:
        mask: (H, W) bool or 0/1.
        dilation_ratio: Distance over image diagonal, in (0, 1].

    Returns:
        (H, W) bool, a subset of the mask.

    Raises:
        InputError: The mask is not (H, W) or not 0/1, or the ratio lies outside of (0, 1].
    """
    check_fraction(dilation_ratio, "dilation_ratio")
    binary = as_binary(mask, "mask")
    if binary.ndim != 2:
        raise InputError(f"mask must have shape (H, W), but it has {binary.shape}; pass one mask.")
    inside = np.ascontiguousarray(binary).view(np.uint8)
    distance = max(1, round(dilation_ratio * float(np.hypot(*binary.shape))))
    eroded = cv2.erode(
        inside,
        np.ones((2 * distance + 1, 2 * distance + 1), dtype=np.uint8),
        borderType=cv2.BORDER_CONSTANT,
        borderValue=0,
    )
    outer: NDArray[np.bool_] = np.asarray(eroded) == 0
    return np.logical_and(binary, outer)


def boundary_iou(pred: ArrayLike, target: ArrayLike, dilation_ratio: float = 0.02) -> float:
    """IoU of the boundary zones of two masks.

    Cheng et al., "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
    CVPR 2021, equation 2.

    Args:
        pred: (H, W) predicted mask, bool or 0/1.
        target: (H, W) true mask, bool or 0/1.
        dilation_ratio: Width of the zone over the image diagonal.

    Returns:
        Boundary IoU in [0, 1]; nan if both masks are empty.

    Raises:
        InputError: Sizes differ, or as ``mask_boundary``.
    """
    ours, truth = mask_boundary(pred, dilation_ratio), mask_boundary(target, dilation_ratio)
    _same_shape(ours, truth)
    union = int(np.count_nonzero(ours | truth))
    return int(np.count_nonzero(ours & truth)) / union if union else float("nan")


def boundary_counts(
    pred: ArrayLike,
    target: ArrayLike,
    num_classes: int,
    *,
    ignore_index: int = 255,
    dilation_ratio: float = 0.02,
) -> NDArray[np.int64]:
    """Boundary intersection and union of each class in one image.

    Ignored pixels belong to no class in prediction and truth alike.

    Args:
        pred: (H, W) predicted class indices in [0, K).
        target: (H, W) true class indices, or ``ignore_index``.
        num_classes: K.
        ignore_index: Target value of pixels that are left out.
        dilation_ratio: Width of the zone over the image diagonal.

    Returns:
        (K, 2) counts, intersection and union; those of several images may be added.

    Raises:
        InputError: As ``confusion_matrix`` and ``mask_boundary``.
    """
    pred, target = _class_maps(pred, target, num_classes, ignore_index)
    valid = target != ignore_index
    counts = np.zeros((num_classes, 2), dtype=np.int64)
    for index in np.union1d(pred[valid], target[valid]):
        ours = mask_boundary((pred == index) & valid, dilation_ratio)
        truth = mask_boundary((target == index) & valid, dilation_ratio)
        counts[index] = np.count_nonzero(ours & truth), np.count_nonzero(ours | truth)
    return counts


def boundary_scores(counts: ArrayLike) -> BoundaryScores:
    """Boundary IoU of each class and its mean over the classes present, in percent.

    Args:
        counts: (K, 2) sums of ``boundary_counts`` over the data set.

    Returns:
        ``boundary_miou`` and the (K,) list ``boundary_iou_per_class``.

    Raises:
        InputError: The counts are not (K, 2).
    """
    array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != 2:
        raise InputError(
            f"counts must have shape (K, 2), but they have {array.shape}; "
            "pass the sum of boundary_counts over the images."
        )
    iou = _percent(array[:, 0], array[:, 1])
    return BoundaryScores(boundary_miou=_mean(iou), boundary_iou_per_class=iou.tolist())


def _percent(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(100.0 * np.divide(part, whole), dtype=np.float64)


def _mean(values: NDArray[np.float64]) -> float:
    present = values[~np.isnan(values)]
    return float(present.mean()) if present.size else float("nan")


def _same_shape(pred: NDArray[np.generic], target: NDArray[np.generic]) -> None:
    if pred.shape != target.shape:
        raise InputError(
            f"pred and target must have the same size, but they have {pred.shape} and "
            f"{target.shape}; resize the prediction to the target."
        )


def _class_maps(
    pred: ArrayLike, target: ArrayLike, num_classes: int, ignore_index: int
) -> tuple[NDArray[np.integer], NDArray[np.integer]]:
    ours, truth = np.asarray(pred), np.asarray(target)
    _same_shape(ours, truth)
    for name, values in (("pred", ours), ("target", truth)):
        if not np.issubdtype(values.dtype, np.integer):
            raise InputError(
                f"{name} must hold integer class indices, but its dtype is {values.dtype}; "
                "take the argmax of logits first."
            )
    valid = truth != ignore_index
    for name, values in (("pred", ours[valid]), ("target", truth[valid])):
        if values.size and (values.min() < 0 or values.max() >= num_classes):
            wrong = np.unique(values[(values < 0) | (values >= num_classes)])[:5].tolist()
            raise InputError(
                f"{name} must hold class indices from 0 to {num_classes - 1} at pixels that "
                f"are not ignored, but it holds {wrong}; check the number of classes and the "
                f"ignore index ({ignore_index})."
            )
    return ours, truth
