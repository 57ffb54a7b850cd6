"""One segment a pixel: things from detections, stuff from a segmentation."""

from __future__ import annotations

import numpy as np

from dense.errors import InputError
from dense.regions import mask_boxes
from dense.structures import DetectionResult, PanopticResult, SegmentationResult


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


def as_detections(result: PanopticResult) -> DetectionResult:
    """The segments as objects with masks: what can be drawn."""
    numbers = np.arange(1, len(result.labels) + 1)
    masks = result.segment_map == numbers[:, None, None]
    return DetectionResult(
        mask_boxes(masks), result.scores, result.labels, result.class_names, masks
    )
