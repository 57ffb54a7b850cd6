"""How well phrases are found in pictures: boxes by IoU, masks by the sums of the RefCOCO line."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError

PRECISIONS = (0.5, 0.6, 0.7, 0.8, 0.9)


def paired_iou(first: NDArray[np.floating], second: NDArray[np.floating]) -> NDArray[np.float64]:
    """Intersection over union (E,) of boxes (E, 4) and (E, 4) xyxy, row by row.

    Raises:
        InputError: If there are not as many of one as of the other.
    """
    a, b = (np.asarray(boxes, np.float64).reshape(-1, 4) for boxes in (first, second))
    if len(a) != len(b):
        raise InputError(f"every true box needs one found box, got {len(a)} and {len(b)}")
    shared = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    shared = shared.clip(min=0).prod(1)
    union = sum((boxes[:, 2:] - boxes[:, :2]).clip(min=0).prod(1) for boxes in (a, b)) - shared
    return np.divide(shared, union, out=np.zeros(len(a)), where=union > 0)


def grounding_scores(ious: NDArray[np.floating]) -> dict[str, float]:
    """Scores of found boxes, in percent: what RefCOCO's tables call accuracy is at IoU .5.

    Args:
        ious: (E,) of each phrase's found and true box, see `paired_iou`.

    Returns:
        `accuracy` (IoU at least .5), `box_iou` (mean), `count`; nan without a phrase.
    """
    values = np.asarray(ious, np.float64)
    if not len(values):
        return {"accuracy": float("nan"), "box_iou": float("nan"), "count": 0.0}
    return {
        "accuracy": 100 * float((values >= 0.5).mean()),
        "box_iou": 100 * float(values.mean()),
        "count": float(len(values)),
    }


def mask_overlap(
    found: NDArray[np.bool_], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels of intersection and of union (E,) of masks (E, H, W) and (E, H, W).

    Raises:
        InputError: If they differ in number or size.
    """
    if found.shape != truth.shape:
        raise InputError(f"masks must agree in number and size, got {found.shape}, {truth.shape}")
    axes = tuple(range(1, found.ndim))
    return (found & truth).sum(axes), (found | truth).sum(axes)


def referring_scores(
    intersections: NDArray[np.integer], unions: NDArray[np.integer]
) -> dict[str, float]:
    """Scores of found masks, in percent.

    Args:
        intersections: (E,) pixels, see `mask_overlap`.
        unions: (E,) pixels; 0 (both masks empty) counts as IoU 1.

    Returns:
        `ciou` (all intersections over all unions: large objects weigh more), `miou` (mean over
        phrases) and `precision_50` … `precision_90` (share of phrases at least that good); nan
        without a phrase.
    """
    shared, union = np.asarray(intersections, np.float64), np.asarray(unions, np.float64)
    names = [f"precision_{round(100 * bound)}" for bound in PRECISIONS]
    if not len(union):
        return dict.fromkeys(("ciou", "miou", *names), float("nan"))
    ious = np.divide(shared, union, out=np.ones(len(union)), where=union > 0)
    total = union.sum()
    return {
        "ciou": 100 * float(shared.sum() / total) if total else 100.0,
        "miou": 100 * float(ious.mean()),
        **{
            name: 100 * float((ious >= b).mean()) for name, b in zip(names, PRECISIONS, strict=True)
        },
    }
