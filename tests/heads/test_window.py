"""WinCLIP's arithmetic, checked by hand."""

import pytest
import torch

from dense.errors import InputError
from dense.heads.memory import CHUNK_ELEMENTS, association, unit_rows
from dense.heads.window import (
    anomaly_probability,
    harmonic_aggregation,
    harmonic_mean,
    strided_windows,
)
from dense.regions import window_indices

GRID = (3, 3)
WINDOWS = window_indices(GRID, 2)


def test_harmonic_aggregation_by_hand() -> None:
    """Window scores 1, .75, .5, .25 on a 3 × 3 grid of 2 × 2 windows."""
    got = harmonic_aggregation(torch.tensor([[1.0, 0.75, 0.5, 0.25]]), WINDOWS, GRID)
    expected = torch.tensor([[[1, 6 / 7, 0.75], [2 / 3, 0.48, 0.375], [0.5, 1 / 3, 0.25]]])
    torch.testing.assert_close(got, expected)


def test_harmonic_aggregation_of_a_batch() -> None:
    scores = torch.rand(3, 4) + 0.1
    together = harmonic_aggregation(scores, WINDOWS, GRID)
    for row in range(3):
        alone = harmonic_aggregation(scores[row : row + 1], WINDOWS, GRID)[0]
        torch.testing.assert_close(alone, together[row])


def test_a_zero_score_makes_its_patches_zero_only() -> None:
    got = harmonic_aggregation(torch.tensor([[0.0, 0.5, 0.5, 0.5]]), WINDOWS, GRID)[0]
    assert got.tolist() == [[0, 0, 0.5], [0, 0, 0.5], [0.5, 0.5, 0.5]]


def test_an_uncovered_patch_is_zero() -> None:
    got = harmonic_aggregation(torch.tensor([[0.5]]), torch.tensor([[0, 1]]), (1, 3))
    assert got[0].tolist() == [[0.5, 0.5, 0.0]]


def test_harmonic_mean_across_scales() -> None:
    maps = [torch.full((1, 1, 2), value) for value in (1.0, 0.5, 0.25)]
    maps[2] = torch.tensor([[[0.25, 0.0]]])
    assert harmonic_mean(maps)[0, 0].tolist() == pytest.approx([3 / 7, 0.0])


def test_class_scores_by_hand() -> None:
    """Rows (1,0,0), (0,1,0) against (0,1,0), (1,1,0) at temperature 1."""
    features = torch.eye(3)[:2] * torch.tensor([[5.0], [0.1]])  # any length
    weights = torch.tensor([[0.0, 1, 0], [0.5**0.5, 0.5**0.5, 0]])
    got = anomaly_probability(features, weights, 1.0)
    assert got.tolist() == pytest.approx([0.6698, 0.4273], abs=1e-4)
    cosines = torch.tensor([[0.0, 0.5**0.5], [1.0, 0.5**0.5]])
    torch.testing.assert_close(got, cosines.softmax(1)[:, 1])


def test_temperature_sharpens() -> None:
    features, weights = torch.tensor([[1.0, 0.2]]), torch.eye(2)
    assert anomaly_probability(features, weights, 0.01) < 1e-10
    assert anomaly_probability(features, weights, 100.0).item() == pytest.approx(0.498, abs=1e-3)


def test_association_by_hand() -> None:
    """(1,0,0), (0,1,0) against (0,1,0), (1,1,0): half of 1 − 1/√2, and 0."""
    bank = unit_rows(torch.tensor([[[0.0, 1, 0], [1, 1, 0]]]))
    queries = torch.tensor([[[1.0, 0, 0], [0, 3, 0]]])
    got = association(queries, bank)
    assert got.shape == (1, 2)
    assert got[0].tolist() == pytest.approx([0.1464, 0.0], abs=1e-4)


def test_association_of_the_opposite_is_one() -> None:
    bank = unit_rows(torch.tensor([[1.0, 0.0]]))
    assert association(torch.tensor([[-2.0, 0.0]]), bank).item() == pytest.approx(1.0)


def test_association_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, queries = unit_rows(torch.randn(50, 8)), torch.randn(2, 33, 8)
    whole = association(queries, bank)
    monkeypatch.setattr("dense.heads.memory.CHUNK_ELEMENTS", 130)
    torch.testing.assert_close(association(queries, bank), whole, atol=1e-6, rtol=0)
    assert CHUNK_ELEMENTS > 130


def test_strided_windows_by_hand() -> None:
    """A 3 × 5 grid: rows 0 and 1 (shifted inside), columns 0, 2 and 3."""
    got = strided_windows((3, 5), 2, 2)
    assert [window[0] for window in got.tolist()] == [0, 2, 3, 5, 7, 8]
    assert got[1].tolist() == [2, 3, 7, 8]
    assert torch.equal(strided_windows((3, 5), 2, 1), window_indices((3, 5), 2))
    with pytest.raises(InputError, match="windows of 2 patches cannot stand 3 apart"):
        strided_windows((3, 5), 2, 3)
