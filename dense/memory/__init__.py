"""Memories of normal patches: search, incremental change, coresets."""

from dense.memory.approximate import FaissIndex
from dense.memory.coreset import greedy_coreset
from dense.memory.exact import ExactIndex
from dense.memory.index import PatchIndex
from dense.memory.make import make_index
from dense.memory.shared import SharedMemory

__all__ = [
    "ExactIndex",
    "FaissIndex",
    "PatchIndex",
    "SharedMemory",
    "greedy_coreset",
    "make_index",
]
