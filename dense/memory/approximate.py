"""Approximate search by faiss, for memories of hundreds of thousands of patches."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import MissingDependencyError
from dense.heads.memory import half_distance, nearest_rows
from dense.memory.index import rescore, searchable
from dense.memory.rows import RowStore

FaissKind = Literal["ivf", "hnsw", "pq"]


@dataclass(frozen=True)
class FaissSettings:
    """What trades time for exactness.

    With the defaults, a million patch features of width 384 and 256 queries, on one thread beside
    a ViT-S/14 at 224 pixels: ivf took 0.5 of the forward pass (mean distance 0.0454, on average
    0.00005 too large, at most 0.005 for 99 % of the queries; 0.4 with 4 probes, 0.0004 too
    large); an exhaustive bf16 search took 6 of them.

    Attributes:
        probes: Lists that a query looks into (ivf, pq).
        candidates: Rows per wanted neighbour that are scored exactly (four times as many in pq,
            whose own distances are coarse).
        links: Neighbours of a node (hnsw).
        effort: Nodes kept while searching (hnsw).
        smallest: Below this many rows the search is exhaustive.
        points: Training rows per list.
    """

    probes: int = 8
    candidates: int = 8
    links: int = 32
    effort: int = 64
    smallest: int = 8192
    points: int = 64


DEFAULT = FaissSettings()
REBUILD_GROWTH = 4
"""Lists are trained anew when the memory has grown this many times since they were."""
REBUILD_DEAD = 0.25
"""Share of forgotten rows from which the structure is built anew."""


class FaissIndex:
    """Inverted lists or a small-world graph, with exact distances of what they propose.

    ``ivf`` stores 8 bits a value, ``pq`` product-quantised 4 bits for about four values, ``hnsw``
    is the graph. Distances of candidates are computed with the rows themselves, kept in bf16, so
    none is below the true minimum by more than rounding. Forgotten rows are masked until enough of
    them gather. Everything is on the CPU. Files hold the rows alone (`dense.memory.files`): the
    structure is built again, seeded, when they are read, so no faiss file is ever trusted.

    Args:
        dim: C.
        kind: The structure.
        settings: Its parameters.

    Raises:
        MissingDependencyError: If faiss is not installed.
    """

    def __init__(
        self, dim: int, *, kind: FaissKind = "ivf", settings: FaissSettings = DEFAULT
    ) -> None:
        self.dim = dim
        self.kind = kind
        self.settings = settings
        self._faiss = import_faiss()
        self._store = RowStore(dim, torch.bfloat16)
        self._alive = torch.empty(0, dtype=torch.bool)
        self._structure: Any = None  # faiss has no types
        self._built = 0

    def __len__(self) -> int:
        return int(self._alive.sum())

    @property
    def images(self) -> tuple[str, ...]:
        alive = set(self._store.owners[self._alive].unique().tolist())
        return tuple(name for place, name in enumerate(self._store.images) if place in alive)

    def add(self, rows: Tensor, image: str) -> None:
        unit = F.normalize(rows.float(), dim=-1).cpu()
        self._store.add(unit, image)
        self._alive = torch.cat([self._alive, torch.ones(len(unit), dtype=torch.bool)])
        if len(self._store) < self.settings.smallest:
            return
        if self._structure is None or len(self._store) >= REBUILD_GROWTH * self._built:
            self._build()
        else:
            self._structure.add(_as_array(unit))

    def remove(self, image: str) -> int:
        gone = self._store.of(image) & self._alive
        self._alive = self._alive & ~gone
        if (~self._alive).float().mean() > REBUILD_DEAD or not self._alive.any():
            self._compact()
        return int(gone.sum())

    def search(
        self, queries: Tensor, count: int = 1, *, without: str | None = None
    ) -> tuple[Tensor, Tensor]:
        alive = self._alive if without is None else self._alive & ~self._store.of(without)
        count = searchable(int(alive.sum()), count)
        unit = F.normalize(queries.float(), dim=-1).cpu()
        distances, numbers = self._search(unit, count, alive)
        return distances.to(queries.device), numbers.to(queries.device)

    def _search(self, unit: Tensor, count: int, alive: Tensor) -> tuple[Tensor, Tensor]:
        bank = self._store.rows
        if self._structure is None:
            similarity, numbers = nearest_rows(unit, bank.float(), count, banned=~alive)
            return half_distance(similarity), numbers
        wide = count * self.settings.candidates * (4 if self.kind == "pq" else 1)
        _, found = self._structure.search(_as_array(unit), wide, params=self._parameters(alive))
        numbers = torch.from_numpy(found)
        short = (numbers >= 0).sum(1) < count  # the lists around these queries were empty
        if short.any():
            missed, every = unit[short], bank.float()
            numbers[short, :count] = nearest_rows(missed, every, count, banned=~alive)[1]
        return rescore(unit, self.rows(numbers.clamp_min(0)), numbers, count)

    def rows(self, numbers: Tensor | None = None) -> Tensor:
        bank = self._store.rows
        picked = bank[self._alive] if numbers is None else bank[numbers.cpu()]
        return F.normalize(picked.float(), dim=-1)

    def owners(self) -> Tensor:
        _, numbers = self._store.owners[self._alive].unique(return_inverse=True)
        return numbers

    def _compact(self) -> None:
        self._store.keep(self._alive)
        self._alive = torch.ones(len(self._store), dtype=torch.bool)
        self._structure = None
        if len(self._store) >= self.settings.smallest:
            self._build()

    def _build(self) -> None:
        faiss, rows = self._faiss, self._store.rows
        self._built = len(rows)
        lists = int(2 * len(rows) ** 0.5)
        texts = {
            "ivf": f"IVF{lists},SQ8",
            "pq": f"IVF{lists},PQ{_divisor(self.dim, 4)}x4fs",
            "hnsw": f"HNSW{self.settings.links},SQ8",
        }
        structure = faiss.index_factory(self.dim, texts[self.kind], faiss.METRIC_INNER_PRODUCT)
        step = max(1, len(rows) // (lists * self.settings.points))
        if self.kind != "hnsw":
            structure.cp.niter, structure.cp.seed = 8, 1
            structure.cp.max_points_per_centroid = self.settings.points
        structure.train(_as_array(rows[::step]))
        for part in rows.split(1 << 17):
            structure.add(_as_array(part))
        self._structure = structure

    def _parameters(self, alive: Tensor) -> Any:
        faiss = self._faiss
        chosen = (
            None
            if alive.all()
            else faiss.IDSelectorBitmap(np.packbits(alive.numpy(), bitorder="little"))
        )
        if self.kind == "hnsw":
            return faiss.SearchParametersHNSW(efSearch=self.settings.effort, sel=chosen)
        return faiss.SearchParametersIVF(nprobe=self.settings.probes, sel=chosen)


def import_faiss() -> ModuleType:
    """Import faiss.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise MissingDependencyError(
            "approximate memory search needs faiss: pip install 'dense-clip[memory]' "
            "(or choose the exact index)"
        ) from error
    return faiss


def _as_array(rows: Tensor) -> np.ndarray:
    return np.ascontiguousarray(rows.float().cpu().numpy())


def _divisor(dim: int, width: int) -> int:
    """Number of sub-vectors of about `width` values that divides `dim`."""
    return next(parts for parts in range(max(1, dim // width), 0, -1) if dim % parts == 0)
