"""Guided methods and small defects in a comparison."""

from pathlib import Path

import numpy as np

from dense.evaluation.comparison import compare
from dense.evaluation.comparison.inspect_plan import Setup
from dense.evaluation.comparison.inspect_task import InspectTask
from dense.evaluation.inspection import CategoryData
from dense.methods.catalog import find_method
from dense.metrics.defect_sizes import region_areas
from tests.datasets.made import make_category
from tests.helpers import tiny_backbone


def test_plain_and_guided_side_by_side(tmp_path: Path) -> None:
    make_category(tmp_path / "nut", train=2, good=2, bad=2)
    setup = Setup(
        [tmp_path],
        ["patch", "patch+guided"],
        shots=(0, 1),
        seeds=(0,),
        small_defects=True,
        pictures=False,
    )
    task = InspectTask(tiny_backbone(), setup)
    comparison = compare(task, tmp_path / "out")
    assert not comparison.failures
    rows = [(r["method"], r["shots"]) for r in comparison.records]
    assert rows == [("patch", 0), ("patch", 1), ("patch+guided", 0), ("patch+guided", 1)]
    for record in comparison.records:
        assert 0 <= record["metrics"]["pixel_auroc_small"] <= 100
        assert "small defects" in record["notes"][0]
    cards = [record["protocol"]["method"] for record in comparison.records]
    assert cards[2:] == ["patch words, guided", "patch memory, guided"]
    keys = [task.key(cell)["code"] for cell in task.cells]
    assert keys[0] != keys[2]  # the guidance's code counts, too


def test_the_third_is_that_of_the_test_masks(tmp_path: Path) -> None:
    make_category(tmp_path / "nut", train=1, good=1, bad=3)
    data = CategoryData(tmp_path, "nut")
    masks = [s.mask for batch in data.batches() for s in batch if s.label]
    areas = sorted(area for mask in masks for area in region_areas(mask))
    assert data.small_area() == areas[int(np.ceil(len(areas) / 3)) - 1]


def test_rows_of_guided_methods_say_what_their_base_needs() -> None:
    base, guided = (find_method(name) for name in ("patchcore", "patchcore+guided"))
    assert not guided.zero_shot
    assert guided.few_shot
    assert guided.title == f"{base.title}, guided to suspicious places"
