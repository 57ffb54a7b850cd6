"""Exhaustive search among remembered patches."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.heads.memory import half_distance, nearest_rows
from dense.memory.index import rescore, searchable
from dense.memory.rows import RowStore

Precision = Literal["fp32", "bf16"]


class ExactIndex:
    """Exhaustive search by chunked matrix products.

    ``bf16`` halves the memory and, on processors with bf16 products, also the time (a third of
    fp32's product; `dense benchmark` prints what this machine does). It looks for candidates in
    bf16 and scores them with fp32 queries, so a distance is that of a real row, above the true
    minimum by at most 0.003. int8 is not offered here: PyTorch's int8 product was slower than
    bf16 where it was measured; `FaissIndex` stores 8 bits.

    Args:
        dim: C.
        precision: Of the stored rows.
    """

    CANDIDATES = 4

    def __init__(self, dim: int, *, precision: Precision = "fp32") -> None:
        self.dim = dim
        self.precision = precision
        self._store = RowStore(dim, torch.float32 if precision == "fp32" else torch.bfloat16)

    def __len__(self) -> int:
        return len(self._store)

    @property
    def images(self) -> tuple[str, ...]:
        return tuple(self._store.images)

    def add(self, rows: Tensor, image: str) -> None:
        self._store.add(F.normalize(rows.float(), dim=-1), image)

    def remove(self, image: str) -> int:
        gone = self._store.of(image)
        self._store.keep(~gone)
        return int(gone.sum())

    def search(
        self, queries: Tensor, count: int = 1, *, without: str | None = None
    ) -> tuple[Tensor, Tensor]:
        banned = None if without is None else self._store.of(without)
        count = searchable(len(self) - (0 if banned is None else int(banned.sum())), count)
        unit = F.normalize(queries.float(), dim=-1)
        bank = self._store.rows
        if self.precision == "fp32":
            similarity, numbers = nearest_rows(unit, bank, count, banned=banned)
            return half_distance(similarity), numbers
        free = len(self) - (0 if banned is None else int(banned.sum()))
        wide = count if count == 1 else min(self.CANDIDATES * count, free)
        _, candidates = nearest_rows(unit.to(bank.dtype), bank, wide, banned=banned)
        return rescore(unit, self.rows(candidates), candidates, count)

    def rows(self, numbers: Tensor | None = None) -> Tensor:
        bank = self._store.rows
        return F.normalize((bank if numbers is None else bank[numbers]).float(), dim=-1)

    def owners(self) -> Tensor:
        return self._store.owners
