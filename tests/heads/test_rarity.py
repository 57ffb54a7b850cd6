"""Rarity of patches, by hand."""

from __future__ import annotations

import pytest
import torch

from dense.errors import InputError
from dense.heads.rarity import neighbours, rarity


def test_neighbours_by_hand() -> None:
    near = neighbours((3, 3), 2)
    assert near[0].nonzero().flatten().tolist() == [0, 1, 3, 4]
    assert near[4].all() and neighbours((1, 4), 1).equal(torch.eye(4, dtype=torch.bool))


def test_rarity_by_hand() -> None:
    rows = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    itself = torch.eye(4, dtype=torch.bool)
    # Half cosine distances to the nearest: the first two are alike, the third is at right angles
    # to all, the fourth at right angles to the third.
    torch.testing.assert_close(rarity(rows, itself), torch.tensor([0.0, 0.0, 0.5, 0.5]))
    mean_of_two = torch.tensor([0.25, 0.25, 0.5, 0.75])
    torch.testing.assert_close(rarity(rows, itself, 2), mean_of_two)


def test_near_patches_do_not_count_and_missing_ones_are_not_asked_for() -> None:
    rows = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    near = torch.eye(3, dtype=torch.bool)
    near[0, 1] = near[1, 0] = True
    torch.testing.assert_close(rarity(rows, near, 5), torch.full((3,), 0.5))


def test_a_patch_without_others_is_refused() -> None:
    with pytest.raises(InputError, match="4 patches are too few to compare a picture with itself"):
        rarity(torch.randn(4, 3), neighbours((2, 2), 2))
