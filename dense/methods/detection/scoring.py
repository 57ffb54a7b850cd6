"""From region probabilities to detections: fusion, candidates, suppression; pure functions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.heads.pixel import class_probabilities
from dense.structures import TextClassifier

CANDIDATES = 2000
"""Most (box, class) pairs that are compared with each other: bounds time and memory."""


@dataclass(frozen=True)
class Candidates:
    """Pairs of a box and a class, best first.

    Attributes:
        place: (M,) int64 number of the box.
        labels: (M,) int64 class indices.
        scores: (M,) in [0, 1].
    """

    place: Tensor
    labels: Tensor
    scores: Tensor

    def __getitem__(self, kept: Tensor | slice) -> Candidates:
        """Some of the pairs."""
        return Candidates(self.place[kept], self.labels[kept], self.scores[kept])


def region_scores(pooled: Tensor, classifier: TextClassifier) -> Tensor:
    """Class probabilities (R, K) of pooled features (R, D) of any length."""
    similarity = F.normalize(pooled.float(), dim=-1) @ classifier.weights.float().T
    return class_probabilities(similarity.T * classifier.logit_scale, classifier).T


def fuse(dense: Tensor, crops: Tensor, share: float) -> Tensor:
    """Geometric mean dense^(1 − share) · crops^share of two sets of probabilities (R, K)."""
    if not 0 <= share <= 1:
        raise InputError(f"the crops' share must lie in [0, 1], got {share}")
    return dense.clamp(min=1e-12) ** (1 - share) * crops.clamp(min=1e-12) ** share


def candidates(scores: Tensor, *, least: float, limit: int = CANDIDATES) -> Candidates:
    """The best pairs of box and class.

    Args:
        scores: (R, K) in [0, 1].
        least: Pairs below are left out.
        limit: Most pairs.
    """
    flat = scores.flatten()
    count = min(limit, flat.numel())
    best = flat.topk(count) if count else flat.sort(descending=True)
    kept = best.values >= least
    index, values = best.indices[kept], best.values[kept]
    classes = max(scores.shape[1], 1)
    return Candidates(index // classes, index % classes, values)


def class_nms(
    boxes: Tensor, labels: Tensor, scores: Tensor, threshold: float, *, inside: float = 1.0
) -> Tensor:
    """Greedy non-maximum suppression within each class.

    Args:
        boxes: (M, 4) xyxy.
        labels: (M,) class indices.
        scores: (M,).
        threshold: Intersection over union above which the lower score goes.
        inside: The lower score goes, too, if more than this share of its box lies in the other;
            1 keeps parts beside their wholes, as the benchmarks' protocols have it.

    Returns:
        Places that are kept, best first.
    """
    order = scores.argsort(descending=True, stable=True)
    rivals = box_iou(boxes[order], boxes[order]) > threshold
    if inside < 1:
        rivals |= covered(boxes[order]) > inside
    rivals &= labels[order][:, None] == labels[order]
    alive = torch.ones(len(order), dtype=torch.bool, device=boxes.device)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~rivals[place, place + 1 :]
    return order[alive]


def box_iou(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union (M, N) of boxes (M, 4) and (N, 4), xyxy."""
    shared = _shared(first, second)
    return shared / (_areas(first)[:, None] + _areas(second) - shared).clamp(min=1e-9)


def covered(boxes: Tensor) -> Tensor:
    """Share (M, M) of the column's box that lies in the row's; boxes (M, 4) xyxy."""
    return _shared(boxes, boxes) / _areas(boxes).clamp(min=1e-9)


def _shared(first: Tensor, second: Tensor) -> Tensor:
    low = torch.maximum(first[:, None, :2], second[:, :2])
    high = torch.minimum(first[:, None, 2:], second[:, 2:])
    return (high - low).clamp(min=0).prod(-1)


def _areas(boxes: Tensor) -> Tensor:
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(-1)
