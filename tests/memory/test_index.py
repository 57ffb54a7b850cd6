"""Every index finds what an exhaustive look finds, before and after it changes."""

from __future__ import annotations

import sys

import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError, MissingDependencyError
from dense.memory import ExactIndex, FaissIndex, PatchIndex, SharedMemory, make_index
from dense.memory.approximate import FaissSettings
from tests.reference.memory_inputs import formula_rows

KINDS = ["exact", "exact-bf16", "ivf", "hnsw", "pq"]
TOLERANCE = {"exact": 1e-6, "exact-bf16": 3e-3, "ivf": 2e-3, "hnsw": 2e-3, "pq": 1e-2}
WIDTH = 16


def make(kind: str) -> PatchIndex:
    """An index whose approximate structure is in use from 200 rows on."""
    if kind.startswith("exact"):
        return make_index(kind, WIDTH)
    pytest.importorskip("faiss")
    settings = FaissSettings(smallest=200, candidates=32)
    return FaissIndex(WIDTH, kind=kind, settings=settings)  # type: ignore[arg-type]


def pictures(count: int = 8, rows: int = 100) -> dict[str, torch.Tensor]:
    """Clustered rows, as patches are."""
    centres = formula_rows(20, WIDTH, 50)
    return {
        f"{n}.png": centres[torch.arange(rows) % 20] + 0.2 * formula_rows(rows, WIDTH, n)
        for n in range(count)
    }


def by_hand(known: dict[str, torch.Tensor], queries: torch.Tensor, count: int) -> torch.Tensor:
    """Half cosine distances to the nearest rows, (Q, count)."""
    bank = F.normalize(torch.cat(list(known.values())), dim=1)
    cosine = F.normalize(queries, dim=1) @ bank.T
    return ((1 - cosine) / 2).sort(1).values[:, :count]


@pytest.mark.parametrize("kind", KINDS)
def test_grows_and_shrinks_like_an_exhaustive_search(kind: str) -> None:
    index, known, queries = make(kind), pictures(), pictures(9)["8.png"]
    for name, rows in known.items():
        index.add(rows, name)
    for removed in ("3.png", "0.png", "7.png", "5.png"):
        for count in (1, 3):
            distances, numbers = index.search(queries, count)
            expected = by_hand(known, queries, count)
            torch.testing.assert_close(distances, expected, atol=TOLERANCE[kind], rtol=0)
            found = index.rows(numbers)
            cosine = torch.einsum("qc,qkc->qk", F.normalize(queries, dim=1), found)
            torch.testing.assert_close(distances, (1 - cosine) / 2, atol=1e-5, rtol=0)
        assert index.remove(removed) == 100
        del known[removed]
        assert index.images == tuple(known) and len(index) == 100 * len(known)
        sizes = index.owners().bincount()
        assert sizes.tolist() == [100] * len(known) and len(index.rows()) == len(index)


@pytest.mark.parametrize("kind", KINDS)
def test_a_remembered_row_is_at_distance_zero_unless_its_picture_is_left_out(kind: str) -> None:
    index, known = make(kind), pictures(4)
    for name, rows in known.items():
        index.add(rows, name)
    queries = known["2.png"]
    assert index.search(queries)[0].max() < 1e-4
    others = {name: rows for name, rows in known.items() if name != "2.png"}
    distances, _ = index.search(queries, 2, without="2.png")
    expected = by_hand(others, queries, 2)
    torch.testing.assert_close(distances, expected, atol=TOLERANCE[kind], rtol=0)


@pytest.mark.parametrize("kind", ["exact", "exact-bf16"])
def test_a_memory_smaller_than_asked_for_gives_what_it_has(kind: str) -> None:
    index = make(kind)
    index.add(torch.eye(WIDTH)[:2], "a")
    distances, numbers = index.search(torch.eye(WIDTH)[:1], 5)
    assert distances.tolist() == [[0.0, 0.5]] and numbers.tolist() == [[0, 1]]


def test_rows_of_a_picture_may_come_in_parts() -> None:
    index = ExactIndex(WIDTH)
    for name in ("a", "b", "a"):
        index.add(torch.eye(WIDTH)[:3], name)
    assert index.images == ("a", "b") and index.owners().tolist() == [0] * 3 + [1] * 3 + [0] * 3
    assert index.remove("a") == 6 and index.owners().tolist() == [0] * 3


def test_queries_whose_lists_hold_too_little_are_answered_exhaustively() -> None:
    """There are 28 lists of 400 rows: no list has 300."""
    pytest.importorskip("faiss")
    settings = FaissSettings(smallest=200, probes=1, candidates=1)
    index, known = FaissIndex(WIDTH, settings=settings), pictures(4)
    for name, rows in known.items():
        index.add(rows, name)
    queries = pictures(9)["8.png"]
    distances, _ = index.search(queries, 300)
    torch.testing.assert_close(distances, by_hand(known, queries, 300), atol=2e-3, rtol=0)


def test_small_approximate_memories_are_exact() -> None:
    pytest.importorskip("faiss")
    index, known = FaissIndex(WIDTH), pictures(2)
    for name, rows in known.items():
        index.add(rows, name)
    queries = pictures(3)["2.png"]
    distances, _ = index.search(queries)
    torch.testing.assert_close(distances, by_hand(known, queries, 1), atol=2e-3, rtol=0)
    index.remove("0.png")
    index.remove("1.png")
    assert len(index) == 0 and index.images == ()


@pytest.mark.parametrize("kind", KINDS)
def test_refusals(kind: str) -> None:
    index = make(kind)
    with pytest.raises(InputError, match="no rows to compare with"):
        index.search(torch.eye(WIDTH))
    index.add(torch.eye(WIDTH), "a.png")
    with pytest.raises(InputError, match=r"unknown remembered picture 'b.png'.*a.png"):
        index.remove("b.png")
    with pytest.raises(InputError, match="must be 1 or more, got 0"):
        index.search(torch.eye(WIDTH), 0)
    with pytest.raises(InputError, match=r"must be \(N, 16\), got \(3, 8\)"):
        index.add(torch.eye(8)[:3], "c.png")


def test_unknown_index() -> None:
    with pytest.raises(InputError, match=r"unknown index 'exakt'.*exact"):
        make_index("exakt", 4)


def test_missing_faiss_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'dense-clip\[memory\]'"):
        make_index("ivf", 4)


def test_shared_memories_find_what_each_finds_alone_and_hold_each_picture_once() -> None:
    known, queries = pictures(4), pictures(9)["8.png"]
    memories = []
    for left in known:
        memory = make_index("exact", WIDTH)
        for name in known.keys() - {left}:
            memory.add(known[name], name)
        memories.append(memory)
    shared = SharedMemory(memories)
    assert len(shared.pictures) == 4
    for memory, found in zip(memories, shared.distances(queries), strict=True):
        torch.testing.assert_close(found, memory.search(queries)[0][:, 0], atol=1e-6, rtol=0)
