"""Patch scores → results at original size, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
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
        return best.values.clamp(max=1), best.indices  # sums of float32 may be above by 1e-5

    bound = label_free_threshold(decide(scores)[0]) if threshold == "otsu" else float(threshold)
    class_map = np.empty(size, np.int64)
    confidence = np.empty(size, np.float32)
    undecided = undecided_index(classifier.num_classes)
    below = undecided if classifier.background is None else classifier.background
    for rows, columns in _tiles(size, len(scores)):
        probability, index = decide(_resize_tile(scores, rows, columns, size))
        index[probability < bound] = below
        place = (slice(rows.start, rows.stop), slice(columns.start, columns.stop))
        class_map[place] = index.cpu().numpy()
        confidence[place] = probability.cpu().numpy()
    shares = _shares(class_map, classifier.num_classes)
    return SegmentationResult(class_map, classifier.class_names, confidence, shares)


def abstain(result: SegmentationResult, below: float) -> SegmentationResult:
    """The same with pixels whose confidence is below a probability undecided.

    Unlike a threshold, which sends them to the background, it leaves no class to unsure pixels.

    Raises:
        InputError: If the bound is no probability, or the result has no confidence.
    """
    if not 0 <= below <= 1:
        raise InputError(f"the bound of abstention is a probability in [0, 1], got {below:g}")
    if result.confidence is None:
        raise InputError("abstention needs a result with a confidence for every pixel")
    classes = len(result.class_names)
    unsure = result.confidence < below
    class_map = np.where(unsure, undecided_index(classes), result.class_map)
    return replace(result, class_map=class_map, scores=_shares(class_map, classes))


def _shares(class_map: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(K,) share of the picture that each class takes."""
    counts = np.bincount(class_map.ravel(), minlength=undecided_index(classes) + 1)[:classes]
    return (counts / class_map.size).astype(np.float32)


def _tiles(size: Size, channels: int) -> Iterator[tuple[range, range]]:
    """Strips of rows within `STRIP_BYTES`; where one row is too much, pieces of it."""
    pixels = max(1, STRIP_BYTES // (4 * channels))
    height, width = max(1, pixels // size[1]), min(size[1], pixels)
    for y in range(0, size[0], height):
        for x in range(0, size[1], width):
            yield range(y, min(y + height, size[0])), range(x, min(x + width, size[1]))


def _resize_tile(grid_map: Tensor, rows: range, columns: range, size: Size) -> Tensor:
    """A tile of the bilinear resize of (P, gh, gw) to (H, W). → (P, len(rows), len(columns))."""
    part = _sample(grid_map, rows, size[0], 1)
    if len(columns) < size[1]:
        return _sample(part, columns, size[1], 2)
    shape = (len(rows), size[1])
    return F.interpolate(part[None], shape, mode="bilinear", align_corners=False)[0]


def _sample(grid_map: Tensor, places: range, size: int, axis: int) -> Tensor:
    """Places of the linear resize of one axis to `size`, half-pixel centres."""
    cells = grid_map.shape[axis]
    wanted = torch.arange(places.start, places.stop, device=grid_map.device)
    source = ((wanted + 0.5) * (cells / size) - 0.5).clamp(0, cells - 1)
    low = source.floor().long()
    high = (low + 1).clamp(max=cells - 1)
    shape = [1, 1, 1]
    shape[axis] = -1
    weight = (source - low).view(shape).to(grid_map.dtype)
    near, far = grid_map.index_select(axis, low), grid_map.index_select(axis, high)
    return near * (1 - weight) + far * weight
