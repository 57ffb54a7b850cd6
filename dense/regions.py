"""Windows and crops of a patch grid or a picture, as index arithmetic."""

from __future__ import annotations

import torch
from torch import Tensor

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
