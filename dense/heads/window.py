"""Window scores → anomaly maps (WinCLIP, Jeong et al. 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.regions import sliding_starts, window_indices
from dense.structures import Size


def strided_windows(grid: Size, side: int, stride: int) -> Tensor:
    """Patch indices of square windows, `stride` patches apart, that cover the whole grid.

    Where the stride does not divide the way, the last window of an axis is shifted inside.

    Args:
        grid: (gh, gw).
        side: Window side in patches.
        stride: At most the side, so that no patch is left out.

    Returns:
        (W, side²) int64, row-major.

    Raises:
        InputError: If the window does not fit the grid or the stride leaves gaps.
    """
    windows = window_indices(grid, side)
    if not 1 <= stride <= side:
        raise InputError(
            f"windows of {side} patches cannot stand {stride} apart, expected 1 to {side}: more "
            "would leave gaps"
        )
    rows, columns = (torch.tensor(sliding_starts(length, side, stride)) for length in grid)
    places = rows[:, None] * (grid[1] - side + 1) + columns
    return windows[places.flatten()]


def anomaly_probability(features: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Probability of the anomalous state (equation 1).

    Args:
        features: (..., D), any length.
        weights: (2, D) unit rows, normal then anomalous.
        temperature: Divides the cosine similarities.

    Returns:
        (...) in [0, 1], fp32.
    """
    unit = F.normalize(features.float(), dim=-1)
    difference = unit @ (weights[1] - weights[0]).float()
    return torch.sigmoid(difference / temperature)


def harmonic_aggregation(scores: Tensor, windows: Tensor, grid: Size) -> Tensor:
    """Harmonic mean, for each patch, of the scores of all windows that cover it (equation 3).

    Args:
        scores: (B, W) positive window scores.
        windows: (W, n) patch indices.
        grid: (gh, gw).

    Returns:
        (B, gh, gw). A patch with a zero score, or under no window, is 0.
    """
    patches = grid[0] * grid[1]
    flat = windows.flatten()
    inverse = (1 / scores).repeat_interleave(windows.shape[1], dim=1)
    total = scores.new_zeros(len(scores), patches).index_add_(1, flat, inverse)
    count = scores.new_zeros(patches).index_add_(0, flat, torch.ones_like(flat, dtype=scores.dtype))
    return torch.nan_to_num(count / total, nan=0.0, posinf=0.0).view(-1, *grid)


def harmonic_mean(maps: Sequence[Tensor]) -> Tensor:
    """Harmonic mean across scales (section 4.2); 0 where any map is 0. Each (B, gh, gw)."""
    stacked = torch.stack(list(maps))
    return torch.nan_to_num(len(maps) / (1 / stacked).sum(0), nan=0.0, posinf=0.0)
