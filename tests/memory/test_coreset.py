"""The greedy coreset: by hand, against anomalib, and its laws."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from dense.errors import InputError
from dense.memory import greedy_coreset
from tests.reference.memory_inputs import CORESET_ROWS, formula_rows

REFERENCE = json.loads(
    (Path(__file__).parents[1] / "reference" / "memory_anomalib.json").read_text()
)
LINE = torch.tensor([[0.0], [1], [2], [10], [11], [5]])


def test_by_hand() -> None:
    """From 0 the farthest is 11, then 5 (5 and 6 away), then 2 (2 away, 10 only 1)."""
    assert greedy_coreset(LINE, 4, start=0).tolist() == [0, 4, 5, 2]


def test_equals_anomalib() -> None:
    expected = REFERENCE["coreset"]
    got = greedy_coreset(CORESET_ROWS, len(expected), start=expected[0], projected=None)
    assert got.tolist() == expected


def test_given_rows_are_filled_up() -> None:
    """With 10 in the memory the farthest is 0, then 5."""
    got = greedy_coreset(LINE, 2, given=torch.tensor([[10.0]]))
    assert got.tolist() == [0, 5]


def test_no_row_is_taken_twice_though_all_are_equal() -> None:
    assert sorted(greedy_coreset(torch.ones(5, 3), 5).tolist()) == [0, 1, 2, 3, 4]


def test_seeded_and_covering() -> None:
    rows = formula_rows(400, 300, 3)
    one, two, other = (greedy_coreset(rows, 40, seed=seed) for seed in (5, 5, 6))
    assert torch.equal(one, two) and not torch.equal(one, other)
    clusters = torch.eye(8).repeat_interleave(50, 0) * 10 + 0.01 * formula_rows(400, 8, 4)
    taken = greedy_coreset(clusters, 8, seed=1)
    assert sorted((taken // 50).tolist()) == list(range(8))


def test_progress_sees_every_step() -> None:
    steps: list[int] = []

    def track(items, total, label):  # type: ignore[no-untyped-def]
        for item in items:
            steps.append(item)
            yield item

    greedy_coreset(LINE, 3, track=track)
    assert steps == [0, 1, 2]


@pytest.mark.parametrize("count", [0, 7])
def test_impossible_counts_are_refused(count: int) -> None:
    with pytest.raises(InputError, match=f"1 to 6 rows, got {count}"):
        greedy_coreset(LINE, count)
