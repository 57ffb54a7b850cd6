"""Regions that a step sees: grids, proposals, crops; the same for equal draws."""

from __future__ import annotations

import numpy as np
import pytest

from dense.errors import InputError
from dense.structures import Sample
from dense.training.region_views import (
    RegionRule,
    RegionSample,
    RegionViews,
    boxes_in_view,
    cut_boxes,
    grid_boxes,
)
from dense.training.views import View, ViewRule
from tests.helpers import photo

WHOLE = ViewRule(scale=(1.0, 1.0), mirror=0.0)


def test_grids_tile_the_view_and_keep_to_the_papers_shapes() -> None:
    rng, shapes = np.random.default_rng(0), set()
    for _ in range(300):
        boxes = grid_boxes(rng, 6)
        sides = boxes[:, 2:] - boxes[:, :2]
        assert sides.prod(1).sum() == pytest.approx(1, abs=1e-5)
        columns, rows = (round(1 / side) for side in sides[0])
        assert len(boxes) == rows * columns
        shapes.add((rows, columns))
    allowed = {(m, n) for m in range(1, 7) for n in range(-(-m // 2), min(2 * m, 6) + 1)}
    assert shapes == allowed


def test_boxes_move_with_the_view() -> None:
    view = View(10, 0, 20)
    boxes = [[10, 0, 20, 10], [0, 0, 14, 10], [30, 0, 40, 5], [12, 2, 12.5, 12]]
    kept = boxes_in_view(boxes, view)
    np.testing.assert_allclose(kept, [[0, 0, 0.5, 0.5]])  # others are outside or too thin
    mirrored = boxes_in_view(boxes, View(10, 0, 20, mirrored=True))
    np.testing.assert_allclose(mirrored, [[0.5, 0, 1, 0.5]])


def test_crops_show_the_pixels_of_their_boxes() -> None:
    image = np.zeros((20, 40, 3), np.uint8)
    image[:10, 10:20] = 200  # the upper left quarter of the view
    for mirrored, box in ((False, [0, 0, 0.5, 0.5]), (True, [0.5, 0, 1, 0.5])):
        crops = cut_boxes(image, View(10, 0, 20, mirrored), np.array([box], np.float32), 8)
        assert crops.shape == (1, 8, 8, 3) and (crops[0, 2:6, 2:6] > 195).all()
        assert crops.min() > 180  # the filter sees a little beyond the border


def test_rule_takes_proposals_or_else_a_grid() -> None:
    image = photo(40, 40)
    rule = RegionRule(side=32, crop=16, view=WHOLE)
    given = Sample(image, boxes=np.array([[0, 0, 20, 40]], np.float32))
    np.testing.assert_allclose(rule(given, 3).boxes, [[0, 0, 0.5, 1]])
    assert len(rule(Sample(image, boxes=np.zeros((0, 4), np.float32)), 3).boxes) >= 1
    drawn = RegionRule(side=32, crop=16, proposals=0.0, view=WHOLE)(given, 3)
    np.testing.assert_allclose(drawn.boxes, rule(Sample(image), 3).boxes)


def test_at_most_count_regions_and_equal_draws_are_equal() -> None:
    rule = RegionRule(side=32, crop=8, most=6, count=4)
    views = RegionViews([Sample(photo(40, 60))], rule)  # type: ignore[arg-type]
    counts = [len(views[number].boxes) for number in range(20)]
    assert max(counts) == 4
    again = views[7]
    np.testing.assert_array_equal(again.crops, views[7].crops)
    assert any(not np.array_equal(again.image, views[n].image) for n in range(6))
    assert again.image.shape == (32, 32, 3)


def test_bad_rules_and_samples() -> None:
    with pytest.raises(InputError, match="crop of a region rule"):
        RegionRule(crop=0)
    with pytest.raises(InputError, match="count of a region rule"):
        RegionRule(count=0)
    with pytest.raises(InputError, match="one crop a box"):
        RegionSample(photo(8, 8), np.zeros((0, 4), np.float32), np.zeros((0, 8, 8, 3), np.uint8))
