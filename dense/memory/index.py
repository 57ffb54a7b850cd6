"""The one interface of nearest-neighbour search among remembered patches."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from dense.errors import InputError
from dense.heads.memory import half_distance


class PatchIndex(Protocol):
    """A searchable memory of unit rows, each belonging to a picture."""

    dim: int

    def __len__(self) -> int:
        """Number of rows."""

    @property
    def images(self) -> tuple[str, ...]:
        """Names of the remembered pictures, oldest first."""

    def add(self, rows: Tensor, image: str) -> None:
        """Remember the rows (N, C), of any length, of a picture."""

    def remove(self, image: str) -> int:
        """Forget a picture; returns how many rows went.

        Raises:
            InputError: If no picture has that name.
        """

    def search(
        self, queries: Tensor, count: int = 1, *, without: str | None = None
    ) -> tuple[Tensor, Tensor]:
        """Nearest rows of each query.

        Args:
            queries: (Q, C), any length.
            count: k; fewer come back where there are fewer rows.
            without: A picture whose rows are left out.

        Returns:
            Half cosine distances (Q, k), ascending, and row numbers (Q, k) for `rows`.

        Raises:
            InputError: If there is nothing to search.
        """

    def rows(self, numbers: Tensor | None = None) -> Tensor:
        """Unit rows (..., C) fp32 by number from `search`; all of them (M, C) if ``None``."""

    def owners(self) -> Tensor:
        """(M,) index into `images`, in the order of `rows()`."""


def searchable(available: int, count: int) -> int:
    """How many neighbours can be returned.

    Raises:
        InputError: If none, or `count` is below 1.
    """
    if count < 1:
        raise InputError(f"the number of neighbours must be 1 or more, got {count}")
    if available < 1:
        raise InputError("the memory has no rows to compare with: add normal pictures first")
    return min(count, available)


def rescore(queries: Tensor, found: Tensor, numbers: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Exact distances of candidate rows (Q, k', C), the nearest `count` of them first.

    A number below 0 stands for no candidate.
    """
    similarity = torch.einsum("qc,qkc->qk", queries, found).masked_fill(numbers < 0, -torch.inf)
    similarity, order = similarity.topk(count, 1)
    return half_distance(similarity), numbers.gather(1, order)
