"""Where to look closer on an anomaly map, and how a closer map comes into it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dense.methods.anomaly.tiles import Box, tent


def suspicious(anomaly_map: NDArray[np.floating], side: int, count: int) -> list[Box]:
    """Squares around the highest peaks, highest first; each peak lies outside earlier squares.

    Args:
        anomaly_map: (H, W), at least `side` each way.
        side: Of a square in pixels.
        count: At most so many; fewer where the squares cover the map.
    """
    height, width = anomaly_map.shape
    left_over = np.asarray(anomaly_map, np.float32).copy()
    boxes: list[Box] = []
    while len(boxes) < count and np.isfinite(left_over).any():
        y, x = np.unravel_index(int(left_over.argmax()), left_over.shape)
        top = min(max(int(y) - side // 2, 0), height - side)
        left = min(max(int(x) - side // 2, 0), width - side)
        boxes.append((top, left, top + side, left + side))
        left_over[top : top + side, left : left + side] = -np.inf
    return boxes


def fuse(
    coarse: NDArray[np.float32],
    closer: Sequence[NDArray[np.float32]],
    boxes: Sequence[Box],
    share: float,
) -> NDArray[np.float32]:
    """Put closer maps into the coarse one, see `dense.methods.anomaly.guided`. (H, W) → (H, W)."""
    total, weight = np.zeros_like(coarse), np.zeros_like(coarse)
    most = np.zeros_like(coarse)
    for found, (top, left, bottom, right) in zip(closer, boxes, strict=True):
        place = (slice(top, bottom), slice(left, right))
        level = np.median(coarse[place]) - np.median(found)
        edge = _edge(bottom - top)[:, None] * _edge(right - left)
        total[place] += edge * (found + level)
        weight[place] += edge
        most[place] = np.maximum(most[place], edge)
    mean = np.divide(total, weight, out=coarse.copy(), where=weight > 0)
    return (coarse + share * most * (mean - coarse)).astype(np.float32)


def _edge(length: int) -> NDArray[np.float32]:
    """1 inside, falling to 0 over the outer eighth."""
    return np.minimum(tent(length) / max(1.0, length / 8), 1.0)
