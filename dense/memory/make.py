"""Indexes by name."""

from __future__ import annotations

from typing import get_args

from dense.errors import unknown_name
from dense.memory.approximate import FaissIndex, FaissKind
from dense.memory.exact import ExactIndex
from dense.memory.index import PatchIndex

EXACT = {"exact": "fp32", "exact-bf16": "bf16"}


def make_index(kind: str, dim: int) -> PatchIndex:
    """An empty index by name: ``exact``, ``exact-bf16``, ``ivf``, ``hnsw`` or ``pq``.

    Raises:
        InputError: If the name is unknown.
        MissingDependencyError: If an approximate index is asked for and faiss is not installed.
    """
    if kind in EXACT:
        return ExactIndex(dim, precision="fp32" if kind == "exact" else "bf16")
    if kind not in get_args(FaissKind):
        raise unknown_name("index", kind, [*EXACT, *get_args(FaissKind)])
    return FaissIndex(dim, kind=kind)  # type: ignore[arg-type]
