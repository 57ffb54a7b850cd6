"""Training pictures with masks, and the losses between maps and masks."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.datasets import AnomalyFolder
from dense.errors import InputError
from dense.structures import Sample
from dense.training.defect_samples import DamagedPictures, DrawnDefects, Mosaic, mosaic
from dense.training.mask_losses import dice, focal
from dense.training.states import DefectPairs
from tests.datasets.made import make_category
from tests.helpers import photo


def test_drawn_defects_come_intact_and_damaged() -> None:
    drawn = DrawnDefects(DefectPairs(2, side=48, seed=3))
    good, bad = drawn[2], drawn[3]
    assert len(drawn) == 4 and (good.label, bad.label) == (0, 1)
    assert good.category == bad.category in drawn.metainfo["categories"]  # type: ignore[operator]
    assert good.mask is not None and not good.mask.any()
    changed = (good.image != bad.image).any(-1)
    assert bad.mask is not None and bad.mask.any() and (changed & bad.mask).any()


def test_damaged_copies_of_good_pictures(tmp_path: Path) -> None:
    source = AnomalyFolder(make_category(tmp_path / "nut"), split="train")
    copies = DamagedPictures(source, copies=2, seed=1)
    assert len(copies) == 15 and copies.metainfo == source.metainfo
    assert [copies[i].label for i in range(3)] == [0, 1, 1]
    np.testing.assert_array_equal(copies[3].image, source[1].image)
    np.testing.assert_array_equal(copies[4].image, copies[4].image)
    assert (copies[4].image != copies[5].image).any()
    mask = copies[4].mask
    assert mask is not None and 0 < mask.mean() < 1
    with pytest.raises(InputError, match="copies must be 1 or more"):
        DamagedPictures(source, copies=0)
    with pytest.raises(InputError, match="drawn on good pictures alone"):
        DamagedPictures([Sample(photo(), label=1)])[0]  # type: ignore[arg-type]


def samples() -> list[Sample]:
    rows = []
    for number in range(6):
        mask = np.full((32, 48), number % 2 == 1)
        rows.append(
            Sample(photo(32, 48, number), None, mask, number % 2, category="ab"[number // 3])
        )
    return rows


def test_a_mosaic_shows_four_pictures_and_their_masks() -> None:
    rows = samples()
    small = replace(rows[1], image=photo(16, 24, 1), mask=np.ones((16, 24), np.bool_))
    square = mosaic([rows[0], small, rows[2], rows[3]])
    assert square.image.shape == (64, 96, 3) and square.label == 1
    np.testing.assert_array_equal(square.image[32:, :48], rows[2].image)
    assert square.mask is not None
    assert square.mask.mean() == 0.5 and square.mask[:32, 48:].all() and square.mask[32:, 48:].all()
    assert mosaic([rows[0], replace(rows[1], mask=None), rows[2], rows[2]]).mask is None


def test_mosaics_are_of_one_product_and_seeded() -> None:
    rows, names = samples(), ["a"] * 3 + ["b"] * 3
    always = Mosaic(rows, rate=1.0, categories=names)  # type: ignore[arg-type]
    assert always.fellows == {"a": [0, 1, 2], "b": [3, 4, 5]}
    torch.manual_seed(0)
    first = always[4]
    torch.manual_seed(0)
    np.testing.assert_array_equal(first.image, always[4].image)
    quarters = {first.image[y : y + 32, x : x + 48].tobytes() for y in (0, 32) for x in (0, 48)}
    assert quarters <= {sample.image.tobytes() for sample in rows[3:]}
    never = Mosaic(rows, rate=0.0)  # type: ignore[arg-type]
    assert never[2] is rows[2] and len(never) == 6
    with pytest.raises(InputError, match="rate of mosaics"):
        Mosaic(rows, rate=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a category for each of 6"):
        Mosaic(rows, categories=["a"])  # type: ignore[arg-type]


def test_focal_by_hand() -> None:
    """(1 - p)^2 -log p of the truth: half sure costs ln 2 / 4, and certainty nothing."""
    half = torch.full((1, 2, 2, 2), 0.5)
    truth = torch.zeros(1, 2, 2, dtype=torch.bool)
    assert float(focal(half, truth)) == pytest.approx(math.log(2) / 4, rel=1e-4)
    sure = torch.stack([torch.ones(1, 2, 2), torch.zeros(1, 2, 2)], dim=1)
    assert float(focal(sure, truth)) == pytest.approx(0, abs=1e-8)
    assert float(focal(sure, ~truth)) == pytest.approx(-math.log(2e-5), rel=1e-3)


def test_dice_by_hand() -> None:
    """Two of four pixels found, one of them rightly, of one: 1 - (2 + 1) / (2 + 1 + 1)."""
    truth = torch.tensor([[[True, False], [False, False]]])
    found = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])
    assert float(dice(found, truth)) == pytest.approx(0.25)
    assert float(dice(truth.float(), truth)) == 0
    nothing = torch.zeros(1, 2, 2)
    both = dice(torch.cat([found, nothing]), torch.cat([truth, nothing.bool()]))
    assert float(both) == pytest.approx(0.125)
