"""One search for several memories that remember the same pictures: each is compared once.

Models of leave-one-out or folds have nearly the same memories: n of n - 1 pictures each, and yet
only n different pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dense.heads.memory import association
from dense.memory.index import PatchIndex


class SharedMemory:
    """Distances to each of several memories, from one exhaustive look at all their rows.

    Args:
        memories: Filled; what changes in them later is not seen.

    Attributes:
        pictures: The rows (N, C) of each remembered picture, equal ones once.
        places: By memory, which of them it holds.
    """

    def __init__(self, memories: Iterable[PatchIndex]) -> None:
        self.pictures: list[Tensor] = []
        self.places = [[self._place(rows) for rows in _by_picture(one)] for one in memories]

    def distances(self, queries: Tensor) -> list[Tensor]:
        """By memory, half the cosine distance (Q,) of queries (Q, C) to the nearest row."""
        found = torch.stack([association(queries, rows) for rows in self.pictures])
        return [found[places].amin(0) for places in self.places]

    def _place(self, rows: Tensor) -> int:
        for place, known in enumerate(self.pictures):
            if torch.equal(known, rows):
                return place
        self.pictures.append(rows)
        return len(self.pictures) - 1


def _by_picture(memory: PatchIndex) -> Sequence[Tensor]:
    rows, owners = memory.rows(), memory.owners()
    return [rows[owners == place] for place in range(len(memory.images))]
