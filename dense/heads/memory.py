"""Distance to remembered normal features (WinCLIP+, equation 4)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.linear import linear

CHUNK_ELEMENTS = 1 << 24
"""Similarities held at once: bounds memory for large banks."""


def unit_rows(features: Tensor) -> Tensor:
    """(B, N, C) → (B * N, C) fp32 rows of unit length."""
    return F.normalize(features.float().flatten(0, -2), dim=-1)


def association(queries: Tensor, memory_bank: Tensor) -> Tensor:
    """Half the cosine distance to the nearest memory entry.

    Args:
        queries: (..., C), any length.
        memory_bank: (M, C) unit rows.

    Returns:
        (...) in [0, 1], fp32; 0 for a remembered feature.
    """
    rows = unit_rows(queries.reshape(1, -1, queries.shape[-1]))
    step = max(1, CHUNK_ELEMENTS // max(1, len(memory_bank)))
    nearest = [linear(part, memory_bank).amax(1) for part in rows.split(step)]
    return ((1 - torch.cat(nearest)) / 2).clamp_(0, 1).view(queries.shape[:-1])
