"""Windows, crops, boxes and masks of a patch grid or a picture, as arithmetic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.structures import Size


def window_indices(grid: Size, side: int, stride: int = 1) -> Tensor:
    """Patch indices of all square windows of a grid.

    Args:
        grid: (gh, gw).
        side: Window side in patches.
        stride: Step in patches.

    Returns:
        (W, side²) int64, row-major windows and row-major patches inside each.

    Raises:
        InputError: If the window is larger than the grid.
    """
    gh, gw = grid
    if not 1 <= side <= min(grid):
        raise InputError(
            f"a window of {side} patches does not fit a grid of {grid}: expected 1 to {min(grid)}"
        )
    patches = torch.arange(gh * gw).view(gh, gw)
    windows = patches.unfold(0, side, stride).unfold(1, side, stride)
    return windows.reshape(-1, side * side)


def sliding_starts(length: int, crop: int, stride: int) -> list[int]:
    """Offsets of crops that cover `length`; the last one is shifted inside.

    The rule of the segmentation field: ⌈max(length − crop, 0) / stride⌉ + 1 crops.
    """
    count = max(length - crop + stride - 1, 0) // stride + 1
    return [max(min(i * stride, length - crop), 0) for i in range(count)]


def to_patches(boxes: Tensor, size: Size, grid: Size) -> Tensor:
    """Boxes (R, 4) xyxy in pixels of a picture (H, W) → the same in cells of a grid over it.

    Cells are patches, or the pixels of the picture at another size.
    """
    across, down = grid[1] / size[1], grid[0] / size[0]
    return boxes.float() * boxes.new_tensor([across, down, across, down], dtype=torch.float32)


def align_weights(boxes: Tensor, grid: Size, bins: int = 1) -> tuple[Tensor, Tensor]:
    """RoIAlign (He et al., ICCV 2017) as two small matrices a box.

    Bilinear sampling on a regular grid is separable: the mean of a box's samples is a weighted sum
    of rows times a weighted sum of columns. The samples are torchvision's with ``aligned=True`` and
    an adaptive number of them: as many a side as patches that a bin touches.

    Args:
        boxes: (R, 4) xyxy in patches, the first patch reaching from 0 to 1.
        grid: (gh, gw).
        bins: Side of the grid that each box is cut into.

    Returns:
        Weights of rows (R, bins, gh) and of columns (R, bins, gw).
    """
    x0, y0, x1, y1 = boxes.float().unbind(1)
    return _axis_weights(y0, y1, grid[0], bins), _axis_weights(x0, x1, grid[1], bins)


def pool_boxes(dense: Tensor, boxes: Tensor, *, at_once: int = 2048) -> Tensor:
    """Mean feature in each box, by RoIAlign to a single bin as one matrix product.

    Args:
        dense: (D, gh, gw) features of one picture.
        boxes: (R, 4) xyxy in patches.
        at_once: Boxes whose (gh · gw) weights exist at once: bounds the memory.

    Returns:
        (R, D).
    """
    flat, grid = dense.flatten(1).T, (dense.shape[1], dense.shape[2])
    parts = [dense.new_zeros(0, len(dense))]
    for some in boxes.split(at_once):
        rows, columns = align_weights(some, grid)
        weights = (rows.transpose(1, 2) * columns).flatten(1)
        parts.append(weights.to(dense.dtype) @ flat)
    return torch.cat(parts)


def align_boxes(dense: Tensor, boxes: Tensor, bins: int) -> Tensor:
    """RoIAlign of one picture. dense (D, gh, gw), boxes (R, 4) in patches → (R, bins², D)."""
    grid = (dense.shape[1], dense.shape[2])
    rows, columns = (weights.to(dense.dtype) for weights in align_weights(boxes, grid, bins))
    return torch.einsum("ria,rjb,dab->rijd", rows, columns, dense).flatten(1, 2)


def pool_masks(dense: Tensor, masks: Tensor, *, at_once: int = 64) -> Tensor:
    """Mean feature under each mask, patches weighted by the share that the mask covers.

    Args:
        dense: (D, gh, gw) features of one picture.
        masks: (R, H, W) bool, of any resolution.
        at_once: Masks that are resized at once.

    Returns:
        (R, D); zeros for an empty mask.
    """
    grid, flat = (dense.shape[1], dense.shape[2]), dense.flatten(1).T
    parts = [dense.new_zeros(0, len(dense))]
    for some in masks.split(at_once):
        share = F.adaptive_avg_pool2d(some[:, None].to(dense.dtype), grid).flatten(1)
        parts.append(share / share.sum(1, keepdim=True).clamp(min=1e-9) @ flat)
    return torch.cat(parts)


def check_boxes(boxes: NDArray[np.floating], size: Size, owner: str) -> NDArray[np.float32]:
    """Boxes that somebody brought, cut at the picture's border.

    Args:
        boxes: (R, 4) xyxy in pixels.
        size: (H, W) of the picture.
        owner: Whose boxes they are, for messages.

    Returns:
        (R, 4) float32 within the picture.

    Raises:
        InputError: If a box is not finite, inverted, empty, or wholly outside the picture.
    """
    rows = np.asarray(boxes, np.float32)
    if rows.size == 0:
        return np.zeros((0, 4), np.float32)
    if rows.ndim != 2 or rows.shape[1] != 4:
        raise InputError(f"{owner}: boxes must be rows of x0 y0 x1 y1, got shape {rows.shape}")
    height, width = size
    for number, (x0, y0, x1, y1) in enumerate(rows.tolist(), 1):
        box = f"box {number} of {owner} [{x0:g}, {y0:g}, {x1:g}, {y1:g}]"
        if not np.isfinite([x0, y0, x1, y1]).all():
            raise InputError(f"{box} is not finite")
        if x1 < x0 or y1 < y0:
            raise InputError(f"{box} is inverted: expected x0 < x1 and y0 < y1 (xyxy, not xywh)")
        if x1 == x0 or y1 == y0:
            raise InputError(f"{box} is empty: expected x0 < x1 and y0 < y1")
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            raise InputError(f"{box} lies outside the picture of {width} × {height} pixels")
    return np.clip(rows, 0, np.array([width, height, width, height], np.float32))


def pixel_span(low: float, high: float, length: int) -> tuple[int, int]:
    """First pixel that a side touches and the one behind its last; at least one pixel."""
    first = min(max(math.floor(low), 0), length - 1)
    return first, max(min(math.ceil(high), length), first + 1)


def cut_box(image: NDArray[np.uint8], box: Sequence[float]) -> NDArray[np.uint8]:
    """The pixels of a picture (H, W, 3) that a box xyxy touches, at least one."""
    x0, y0, x1, y1 = box
    top, low = pixel_span(y0, y1, image.shape[0])
    left, right = pixel_span(x0, x1, image.shape[1])
    return np.ascontiguousarray(image[top:low, left:right])


def widen_boxes(boxes: NDArray[np.floating], margin: float, size: Size) -> NDArray[np.float32]:
    """Boxes (R, 4) xyxy with `margin` times their side added on each side, within (H, W)."""
    rows = np.asarray(boxes, np.float32)
    sides = np.tile(rows[:, 2:] - rows[:, :2], 2) * np.array([-1, -1, 1, 1], np.float32)
    height, width = size
    return np.clip(rows + margin * sides, 0, np.array([width, height, width, height], np.float32))


def mask_boxes(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Tight boxes (R, 4) xyxy of masks (R, H, W); zeros for an empty mask."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for place, mask in enumerate(masks):
        ys, xs = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        if len(ys):
            boxes[place] = xs[0], ys[0], xs[-1] + 1, ys[-1] + 1
    return boxes


def mask_cover(mask: NDArray[np.bool_], size: Size) -> NDArray[np.float32]:
    """Share in [0, 1] of each pixel of (h, w) that a mask (H, W) covers."""
    share = cv2.resize(mask.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(share, np.float32)


def box_cover(box: Sequence[float], picture: Size, size: Size) -> NDArray[np.float32]:
    """Share in [0, 1] of each pixel of (h, w) that a box xyxy of a picture (H, W) covers."""
    x0, y0, x1, y1 = box
    sides = []
    for low, high, length, count in ((y0, y1, picture[0], size[0]), (x0, x1, picture[1], size[1])):
        edges = np.arange(count + 1)
        first, last = low / length * count, high / length * count
        covered = np.minimum(edges[1:], last) - np.maximum(edges[:-1], first)
        sides.append(covered.clip(0, 1))
    return np.outer(*sides).astype(np.float32)


def _axis_weights(low: Tensor, high: Tensor, length: int, bins: int) -> Tensor:
    """(R,) sides in patches → (R, bins, length): how much each patch counts in each bin."""
    step = (high - low) / bins
    count = step.ceil().clamp(min=1)
    most = int(count.max()) if len(count) else 1
    place = torch.arange(most, device=low.device)
    first = low[:, None] + step[:, None] * torch.arange(bins, device=low.device)
    inside = step[:, None] * (place + 0.5) / count[:, None]
    at = first[:, :, None] + inside[:, None] - 0.5
    counts = (place < count[:, None])[:, None] & (at >= -1) & (at <= length)
    share = counts / count[:, None, None]
    at = at.clamp(0, length - 1)
    lower = at.floor().long()
    upper = (lower + 1).clamp(max=length - 1)
    weights = low.new_zeros(len(low), bins, length)
    weights.scatter_add_(2, lower, share * (1 - (at - lower)))
    return weights.scatter_add_(2, upper, share * (at - lower))
