"""Distance to remembered normal features (WinCLIP+, equation 4)."""

from __future__ import annotations

from collections.abc import Iterator

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
    nearest = rows.new_full((len(rows),), -1.0)
    for _, similarity in _similarities(rows, memory_bank):
        nearest = torch.maximum(nearest, similarity.amax(1))
    return half_distance(nearest).view(queries.shape[:-1])


def half_distance(similarity: Tensor) -> Tensor:
    """Cosine similarity in [-1, 1] → half the cosine distance in [0, 1], same shape."""
    return ((1 - similarity) / 2).clamp_(0, 1)


def nearest_rows(
    queries: Tensor, memory_bank: Tensor, count: int, *, banned: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The most similar memory entries, most similar first.

    Args:
        queries: (Q, C) unit rows.
        memory_bank: (M, C) unit rows of the same precision.
        count: k, at most M minus the banned rows.
        banned: (M,) bool, rows that must not be found.

    Returns:
        Similarities (Q, k) fp32 and row numbers (Q, k) int64.
    """
    found = queries.new_zeros((len(queries), 0), dtype=torch.float32)
    places = queries.new_zeros((len(queries), 0), dtype=torch.int64)
    for start, similarity in _similarities(queries, memory_bank):
        if banned is not None:
            part = banned[start : start + similarity.shape[1]]
            similarity = similarity.masked_fill(part, -torch.inf)
        if count == 1:
            best, index = similarity.max(1, keepdim=True)
        else:
            best, index = similarity.topk(min(count, similarity.shape[1]), 1)
        found = torch.cat([found, best.float()], 1)
        places = torch.cat([places, index + start], 1)
        found, order = found.topk(min(count, found.shape[1]), 1)
        places = places.gather(1, order)
    return found, places


def _similarities(queries: Tensor, memory_bank: Tensor) -> Iterator[tuple[int, Tensor]]:
    """(first bank row, (Q, ·) similarities) block by block: each bank row is read once."""
    step = max(1, CHUNK_ELEMENTS // max(1, len(queries)))
    for start in range(0, len(memory_bank), step):
        yield start, linear(queries, memory_bank[start : start + step])
