"""Memories of normal patches: search, incremental change, coresets."""

from dense.memory.approximate import FaissIndex
from dense.memory.coreset import greedy_coreset
from dense.memory.exact import ExactIndex
from dense.memory.index import PatchIndex
from dense.memory.make import make_index

__all__ = ["ExactIndex", "FaissIndex", "PatchIndex", "greedy_coreset", "make_index"]
