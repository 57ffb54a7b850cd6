"""Patch scores → results at original size, in bounded memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.heads.pixel import class_probabilities
from dense.structures import SegmentationResult, Size, TextClassifier

STRIP_BYTES = 64 << 20
"""Size of the logits held at original resolution at once."""


def undecided_index(num_classes: int) -> int:
    """Index of pixels without a class: 255, or 65535 where 255 is a class of its own."""
    return 255 if num_classes <= 255 else 65535


def _interpolate_rows(grid_map: Tensor, rows: Tensor, height: int) -> Tensor:
    """Rows of the bilinear resize of (P, gh, gw) to `height` rows. → (P, len(rows), gw)."""
    gh = grid_map.shape[1]
    source = ((rows + 0.5) * (gh / height) - 0.5).clamp(0, gh - 1)
    above = source.floor().long()
    below = (above + 1).clamp(max=gh - 1)
    weight = (source - above).view(1, -1, 1).to(grid_map.dtype)
    return grid_map[:, above] * (1 - weight) + grid_map[:, below] * weight


def segment_map(
    similarity: Tensor, size: Size, classifier: TextClassifier, *, threshold: float = 0.0
) -> SegmentationResult:
    """Decide a class for every original pixel.

    Similarities are resized bilinearly (half-pixel centres), multiplied by the logit scale,
    turned into probabilities, and the largest class is taken; strips of rows bound the memory.

    Args:
        similarity: (P, gh, gw) cosine of each query with each patch.
        size: (H, W) of the picture.
        classifier: The vocabulary.
        threshold: Pixels whose largest probability is below go to the background class, or to
            `undecided_index` where the vocabulary has none.
    """
    height, width = size
    strip = max(1, STRIP_BYTES // (4 * similarity.shape[0] * width))
    class_map = np.empty(size, np.int64)
    confidence = np.empty(size, np.float32)
    undecided = undecided_index(classifier.num_classes)
    below = undecided if classifier.background is None else classifier.background
    for start in range(0, height, strip):
        rows = torch.arange(start, min(start + strip, height), device=similarity.device)
        part = _interpolate_rows(similarity, rows, height)[None]
        part = F.interpolate(part, (len(rows), width), mode="bilinear", align_corners=False)[0]
        probability, index = class_probabilities(part * classifier.logit_scale, classifier).max(0)
        index[probability < threshold] = below
        class_map[start : start + len(rows)] = index.cpu().numpy()
        confidence[start : start + len(rows)] = probability.cpu().numpy()
    counts = np.bincount(class_map.ravel(), minlength=undecided + 1)[: classifier.num_classes]
    return SegmentationResult(
        class_map,
        classifier.class_names,
        confidence,
        (counts / class_map.size).astype(np.float32),
    )
