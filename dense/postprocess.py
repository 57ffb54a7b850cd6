"""Patch scores → results at original size, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.heads.pixel import class_probabilities
from dense.structures import SegmentationResult, Size, TextClassifier

STRIP_BYTES = 64 << 20
"""Size of the logits held at original resolution at once."""

REFINE_BYTES = 256 << 20
"""Size of the probabilities that are refined at once; above, they are refined at a smaller size."""

FLAT_SEPARABILITY = 0.75
"""Otsu's separability of a uniform distribution."""


def undecided_index(num_classes: int) -> int:
    """Index of pixels without a class: 255, or 65535 where 255 is a class of its own."""
    return 255 if num_classes <= 255 else 65535


def label_free_threshold(confidence: Tensor) -> float:
    """A picture's own bound between sure and unsure pixels, without labels.

    Otsu's threshold (1979) of the largest probabilities, if they fall into two groups more clearly
    than a uniform distribution would (between-class over total variance above 3/4); else 0: a
    picture that is all of one kind is not cut in two. It says where this picture's confidences
    part, not how often pixels above it are right; for that, calibrate on labelled pictures.

    Args:
        confidence: Largest probability of each place, any shape.
    """
    values = confidence.detach().flatten().double().sort().values.cpu()
    total = values.var(correction=0) * len(values)
    if len(values) < 2 or total <= 0:
        return 0.0
    count = torch.arange(1, len(values), dtype=torch.float64)
    below = values.cumsum(0)[:-1]
    above = values.sum() - below
    rest = len(values) - count
    between = count * rest / len(values) * (above / rest - below / count).square()
    cut = int(between.argmax())
    if between[cut] / total <= FLAT_SEPARABILITY:
        return 0.0
    return float((values[cut] + values[cut + 1]) / 2)


def refine_scores(
    similarity: Tensor,
    size: Size,
    classifier: TextClassifier,
    image: NDArray[np.uint8],
    steps: Sequence[Callable[[Tensor, Tensor], Tensor]],
) -> Tensor:
    """Class probabilities after post-processing.

    Args:
        similarity: (P, gh, gw) score of each query on each patch.
        size: (h, w) at which to refine: that of the network's input.
        classifier: The vocabulary and its scale.
        image: (H, W, 3) uint8 original pixels.
        steps: From `dense.refine`, in order.

    Returns:
        (K, h, w), smaller than `size` where that would take more than `REFINE_BYTES`.
    """
    full = 4 * len(similarity) * size[0] * size[1]
    shrink = min(1.0, REFINE_BYTES / full) ** 0.5
    h, w = (max(1, int(side * shrink)) for side in size)
    logits = F.interpolate(similarity[None], (h, w), mode="bilinear", align_corners=False)[0]
    probabilities = class_probabilities(logits * classifier.logit_scale, classifier)
    picture = torch.tensor(image, device=similarity.device).permute(2, 0, 1)[None].float() / 255
    picture = F.interpolate(picture, (h, w), mode="bilinear", antialias=True)[0]
    for step in steps:
        probabilities = step(probabilities, picture)
    return probabilities


def segment_map(
    scores: Tensor,
    size: Size,
    classifier: TextClassifier,
    *,
    threshold: float | str = 0.0,
    probabilities: bool = False,
) -> SegmentationResult:
    """Decide a class for every original pixel.

    Scores are resized bilinearly (half-pixel centres), similarities multiplied by the logit scale
    and turned into probabilities, and the largest class is taken; strips of rows bound the memory.

    Args:
        scores: (P, gh, gw) similarity of each query with each patch, or class probabilities.
        size: (H, W) of the picture.
        classifier: The vocabulary.
        threshold: Pixels whose largest probability is below go to the background class, or to
            `undecided_index` where the vocabulary has none; ``"otsu"`` is `label_free_threshold`
            of the scores' own grid.
        probabilities: `scores` holds (K, h, w) class probabilities, as after `refine_scores`.
    """

    def decide(part: Tensor) -> tuple[Tensor, Tensor]:
        if not probabilities:
            part = class_probabilities(part * classifier.logit_scale, classifier)
        best = part.max(0)
        return best.values, best.indices

    bound = label_free_threshold(decide(scores)[0]) if threshold == "otsu" else float(threshold)
    class_map = np.empty(size, np.int64)
    confidence = np.empty(size, np.float32)
    undecided = undecided_index(classifier.num_classes)
    below = undecided if classifier.background is None else classifier.background
    strip = max(1, STRIP_BYTES // (4 * scores.shape[0] * size[1]))
    for start in range(0, size[0], strip):
        rows = torch.arange(start, min(start + strip, size[0]), device=scores.device)
        probability, index = decide(_resize_rows(scores, rows, size))
        index[probability < bound] = below
        class_map[start : start + len(rows)] = index.cpu().numpy()
        confidence[start : start + len(rows)] = probability.cpu().numpy()
    counts = np.bincount(class_map.ravel(), minlength=undecided + 1)[: classifier.num_classes]
    return SegmentationResult(
        class_map,
        classifier.class_names,
        confidence,
        (counts / class_map.size).astype(np.float32),
    )


def _resize_rows(grid_map: Tensor, rows: Tensor, size: Size) -> Tensor:
    """Rows of the bilinear resize of (P, gh, gw) to (H, W). → (P, len(rows), W)."""
    gh = grid_map.shape[1]
    source = ((rows + 0.5) * (gh / size[0]) - 0.5).clamp(0, gh - 1)
    above = source.floor().long()
    below = (above + 1).clamp(max=gh - 1)
    weight = (source - above).view(1, -1, 1).to(grid_map.dtype)
    part = grid_map[:, above] * (1 - weight) + grid_map[:, below] * weight
    wide = F.interpolate(part[None], (len(rows), size[1]), mode="bilinear", align_corners=False)
    return wide[0]
