"""Counts of a segmentation by hand, undecided pixels included; parts add up."""

from __future__ import annotations

import json

import numpy as np
import pytest

from dense.evaluation.segment_tally import SegmentTally
from dense.structures import SegmentationResult

TARGET = np.array([[0, 0, 1, 1, 255]])


def result(*classes: int, sure: float = 0.8) -> SegmentationResult:
    class_map = np.array([classes])
    return SegmentationResult(class_map, ("a", "b"), np.full(class_map.shape, sure, np.float32))


def test_undecided_pixels_are_wrong_and_no_class() -> None:
    tally = SegmentTally(2)
    own = tally.add(result(0, 255, 1, 0, 1), TARGET)
    scores = tally.scores()
    # a: 1 hit of 2 true and 2 predicted (one undecided): 1/3; b: 1 hit of 2 true, 1 predicted: 1/2.
    assert scores["miou"] == own == pytest.approx(100 * (1 / 3 + 1 / 2) / 2)
    assert scores["macc"] == scores["aacc"] == pytest.approx(50)
    assert scores["ece"] == pytest.approx(30, abs=1e-4)
    names = [(e["class"], e["share"]) for e in tally.per_class(["a", "b"])]
    assert names == [("a", 50.0), ("b", 50.0)]


def test_parts_from_files_add_up() -> None:
    whole, parts = SegmentTally(2), SegmentTally(2)
    for got in (result(0, 1, 1, 1, 0), result(255, 0, 0, 1, 1, sure=0.3)):
        part = SegmentTally(2)
        for tally in (whole, part):
            tally.add(got, TARGET)
        parts.add_json(json.loads(json.dumps(part.to_json())))
    assert parts.to_json() == whole.to_json()
    assert parts.scores() == pytest.approx(whole.scores())


def test_nothing_known_is_undefined() -> None:
    tally = SegmentTally(2)
    assert np.isnan(tally.add(result(0, 1, 0, 1, 0), np.full((1, 5), 255)))
    assert np.isnan(list(tally.scores().values())).all()
