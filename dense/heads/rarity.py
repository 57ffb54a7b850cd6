"""How little a patch resembles the other patches of its own picture."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError
from dense.heads.memory import half_distance
from dense.structures import Size


def neighbours(grid: Size, apart: int) -> Tensor:
    """(N, N) bool: patches less than `apart` rows and columns from each other."""
    y, x = torch.meshgrid(torch.arange(grid[0]), torch.arange(grid[1]), indexing="ij")
    y, x = y.flatten(), x.flatten()
    return ((y[:, None] - y).abs() < apart) & ((x[:, None] - x).abs() < apart)


def rarity(rows: Tensor, near: Tensor, count: int = 1) -> Tensor:
    """Mean half cosine distance to the most similar patches that are not near.

    Args:
        rows: (N, C) patches of one picture, any length.
        near: (N, N) bool, pairs that are left out, such as `neighbours`.
        count: Most similar patches whose mean is taken; fewer where fewer are left.

    Returns:
        (N,) fp32 in [0, 1].

    Raises:
        InputError: If a patch has no other that is not near.
    """
    free = int((~near).sum(1).min())
    if free < 1:
        raise InputError(
            f"{len(rows)} patches are too few to compare a picture with itself: each is near all "
            "others; give support pictures, or a larger short_side"
        )
    unit = F.normalize(rows.float(), dim=1)
    similarity = (unit @ unit.T).masked_fill(near, -1.0)
    return half_distance(similarity.topk(min(count, free), dim=1).values).mean(1)
