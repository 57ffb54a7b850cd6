"""One segment a pixel: things from detections, stuff from a segmentation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.structures import DetectionResult, SegmentationResult


@dataclass(frozen=True)
class PanopticResult:
    """A picture cut into segments.

    Attributes:
        segment_map: (H, W) int64 number of the segment of each pixel from 1, 0 for none.
        labels: (S,) int64 class of each segment.
        things: (S,) bool: countable ones, each segment an instance.
        scores: (S,) float32; 1 for stuff.
        class_names: K display names.
    """

    segment_map: NDArray[np.int64]
    labels: NDArray[np.int64]
    things: NDArray[np.bool_]
    scores: NDArray[np.float32]
    class_names: tuple[str, ...]


def merge_panoptic(
    detections: DetectionResult,
    stuff: SegmentationResult,
    *,
    stuff_classes: tuple[int, ...],
    least_score: float = 0.3,
    least_visible: float = 0.5,
    least_stuff: int = 64,
) -> PanopticResult:
    """Lay masks over one another, best first, and fill the rest with stuff.

    The heuristic of Kirillov et al., "Panoptic Segmentation", CVPR 2019, section 4.

    Args:
        detections: With masks.
        stuff: A class map over the same classes.
        stuff_classes: Which of them are stuff.
        least_score: Detections below do not count.
        least_visible: Share of a mask that no better one covers, below which it is dropped.
        least_stuff: Fewest pixels of a stuff segment.

    Raises:
        InputError: If there are no masks, or sizes or classes differ.
    """
    if detections.masks is None:
        raise InputError("panoptic merging needs detections with masks: detect with masks=True")
    if detections.class_names != stuff.class_names:
        raise InputError("panoptic merging needs detections and stuff over the same classes")
    canvas = np.zeros(stuff.class_map.shape, np.int64)
    labels: list[int] = []
    scores: list[float] = []
    for place in np.argsort(-detections.scores, kind="stable"):
        mask = detections.masks[place]
        if mask.shape != canvas.shape:
            raise InputError(f"masks {mask.shape} and class map {canvas.shape} must have one size")
        label = int(detections.labels[place])
        free = mask & (canvas == 0)
        if detections.scores[place] < least_score or label in stuff_classes or not mask.any():
            continue
        if free.sum() < least_visible * mask.sum():
            continue
        labels.append(label)
        scores.append(float(detections.scores[place]))
        canvas[free] = len(labels)
    things = len(labels)
    for label in stuff_classes:
        free = (stuff.class_map == label) & (canvas == 0)
        if free.sum() >= least_stuff:
            labels.append(label)
            scores.append(1.0)
            canvas[free] = len(labels)
    return PanopticResult(
        canvas,
        np.array(labels, np.int64),
        np.arange(len(labels)) < things,
        np.array(scores, np.float32),
        stuff.class_names,
    )
