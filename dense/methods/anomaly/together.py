"""Inspectors of leave-one-out or folds read a picture together: one search serves all of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch

from dense.memory import SharedMemory
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.memory import MemoryInspector
from dense.methods.anomaly.patches import Look
from dense.structures import AnomalyResult


class Together:
    """Inspectors of equal settings that remember nearly the same pictures.

    Args:
        members: For whom `can_share` holds, fitted; what they learn later is not seen.
    """

    def __init__(self, members: Sequence[MemoryInspector]) -> None:
        self.members = members
        layers = zip(*(member.memory() for member in members), strict=True)
        self.layers = [SharedMemory(memories) for memories in layers]

    def read(self, look: Look) -> list[AnomalyResult]:
        """What each member says of a picture, as by its own `read`."""
        rows = self.members[0].memory_rows(look)
        by_layer = [own.distances(row) for own, row in zip(self.layers, rows, strict=True)]
        results = []
        for member, found in zip(self.members, zip(*by_layer, strict=True), strict=True):
            distance = look.place(torch.stack(found).mean(0))
            results.append(member.show(look, *member.weigh(look, distance)))
        return results


def can_share(members: Sequence[Inspector]) -> TypeGuard[Sequence[MemoryInspector]]:
    """Whether one search can serve inspectors of one method, and spares something."""
    return len(members) > 1 and all(
        isinstance(member, MemoryInspector)
        and member.by_distance
        and member.settings.neighbours == 1
        and member.settings.index == "exact"
        for member in members
    )
