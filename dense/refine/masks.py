"""Results redrawn by a cutter: classes of a segmentation, detections, defect masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.refine.cut import Cutter, Mask, mask_box, prompt_from_mask
from dense.refine.regions import vote
from dense.structures import AnomalyResult, DetectionResult

AGREE = 0.5
"""Least intersection over union with what it refines for a cut to count."""


@dataclass(frozen=True)
class CutVote:
    """Each part of a class map is cut out anew, and the cut's pixels decide as one.

    Connected parts of the most likely classes prompt the cutter, the largest first; a cut that has
    little to do with its part (`AGREE`) is not used. Later, smaller cuts win where they overlap.

    Attributes:
        cutter: See `dense.refine.cut`.
        parts: At most so many.
        least: Parts below this share of the picture keep their pixels as they are.
    """

    cutter: Cutter
    parts: int = 12
    least: float = 0.01

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine (K, h, w) probabilities by a picture (3, h, w) in [0, 1]."""
        pixels = (image.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        classes = probabilities.argmax(0).cpu().numpy()
        regions = np.full(classes.shape, -1, np.int64)
        for number, mask in enumerate(self._parts(classes)):
            scores = probabilities[int(classes[mask][0])].float().cpu().numpy()
            found = self.cutter.cut(pixels, prompt_from_mask(mask, scores))
            if overlap(found, mask) >= AGREE:
                regions[found] = number
        return vote(probabilities, torch.from_numpy(regions).to(probabilities.device))

    def _parts(self, classes: NDArray[np.int64]) -> list[Mask]:
        found = []
        for number in np.unique(classes):
            same = (classes == number).astype(np.uint8)
            count, labels, stats, _ = cv2.connectedComponentsWithStats(same, connectivity=4)
            areas = stats[1:count, cv2.CC_STAT_AREA]
            found += [(int(area), labels == k) for k, area in enumerate(areas, 1)]
        found = [row for row in found if self.least * classes.size <= row[0] < classes.size]
        found.sort(key=lambda row: -row[0])
        return [mask for _, mask in found[: self.parts]]


def refine_detections(
    cutter: Cutter, image: NDArray[np.uint8], result: DetectionResult
) -> DetectionResult:
    """Cut a mask for each box and draw the box tightly around it.

    Boxes whose cut has little to do with them (`AGREE`, of the boxes) stay as they are, with
    their own mask or the whole box.

    Args:
        cutter: See `dense.refine.cut`.
        image: (H, W, 3) uint8.
        result: Its detections.
    """
    boxes = result.boxes.copy()
    masks = np.zeros((len(boxes), *image.shape[:2]), np.bool_)
    for row, box in enumerate(result.boxes):
        x0, y0, x1, y1 = (round(float(value)) for value in box)
        masks[row, max(0, y0) : max(y1, y0 + 1), max(0, x0) : max(x1, x0 + 1)] = True
        rough = masks[row] if result.masks is None else result.masks[row]
        if not rough.any():
            continue
        masks[row] = rough
        prompt = prompt_from_mask(rough)
        found = cutter.cut(image, replace(prompt, box=box, mask=prompt.mask))
        if found.any() and _box_overlap(mask_box(found), box) >= AGREE:
            masks[row], boxes[row] = found, mask_box(found)
    return replace(result, boxes=boxes, masks=masks)


def refine_anomaly(
    cutter: Cutter,
    image: NDArray[np.uint8],
    result: AnomalyResult,
    *,
    parts: int = 16,
    reach: float = 0.02,
) -> AnomalyResult:
    """Redraw the defect mask along edges; map, score and decision stay.

    Each connected part, the largest first, prompts the cutter by its box, its hottest pixel and
    itself. A cut counts only near its part: within `reach` of it, and if it covers the hottest
    pixel; thin defects inside a coarse part may well be small. Others stay as they are.

    Args:
        cutter: See `dense.refine.cut`.
        image: (H, W, 3) uint8.
        result: With a mask, or it comes back as it is.
        parts: At most so many are cut.
        reach: As a share of the short side.
    """
    if result.mask is None or not result.mask.any() or result.mask.all():
        return result
    count, labels, stats, _ = cv2.connectedComponentsWithStats(
        result.mask.astype(np.uint8), connectivity=8
    )
    order = 1 + np.argsort(-stats[1:count, cv2.CC_STAT_AREA], kind="stable")
    side = 2 * max(1, round(reach * min(image.shape[:2]))) + 1
    mask = result.mask.copy()
    for number in order[:parts].tolist():
        part = labels == number
        prompt = prompt_from_mask(part, result.anomaly_map)
        near = cv2.dilate(part.astype(np.uint8), np.ones((side, side), np.uint8)) > 0
        found = cutter.cut(image, prompt) & near
        x, y = prompt.points[0].astype(int) if prompt.points is not None else (0, 0)
        if found[y, x]:
            mask = (mask & ~part) | found
    return replace(result, mask=mask)


def overlap(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks; 0 if both are empty."""
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def _box_overlap(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    shared = float(np.prod(np.clip(high - low, 0, None)))
    areas = sum(float(np.prod(box[2:] - box[:2])) for box in (one, other))
    return shared / (areas - shared) if areas > shared else 0.0
