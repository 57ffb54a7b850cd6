"""Panoptic quality: hand-worked pictures, and the counts of the authors' code on twenty others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics.panoptic import (
    PanopticCounts,
    panoptic_counts,
    panoptic_quality,
    panoptic_scores,
)
from dense.structures import PanopticSegments

CAT, DOG, SKY = 0, 1, 2
REFERENCE = Path(__file__).parents[1] / "reference" / "panoptic.json"
THINGS = (True, True, False)


def segments(rows: str, labels: list[int], crowd: list[int] | None = None) -> PanopticSegments:
    """A map from one digit a pixel, rows apart by spaces."""
    grid = np.array([[int(c) for c in row] for row in rows.split()], np.int64)
    flags = None if crowd is None else np.array(crowd, bool)
    return PanopticSegments(grid, np.array(labels, np.int64), flags)


def tally(found: PanopticSegments, truth: PanopticSegments) -> dict[str, list[float]]:
    counts = panoptic_counts(found, truth, 3)
    names = ("found", "invented", "missed", "iou")
    return {name: getattr(counts, name).tolist() for name in names}


def test_things_and_stuff_by_hand() -> None:
    """Cat: 4 of 5 pixels shared. Dog: called a cat. Sky: 4 found of 5, and 1 of the cat."""
    truth = segments("11112 33332 33333", [CAT, DOG, SKY])
    found = segments("11112 13332 33333", [CAT, CAT, SKY])
    assert tally(found, truth) == {
        "found": [1, 0, 1],
        "invented": [1, 0, 0],
        "missed": [0, 1, 0],
        "iou": [4 / 5, 0, 8 / 9],
    }
    counts = panoptic_counts(found, truth, 3)
    quality = panoptic_quality(counts)
    np.testing.assert_allclose(quality["rq"], [2 / 3, 0, 1])
    np.testing.assert_allclose(quality["sq"], [4 / 5, 0, 8 / 9])
    np.testing.assert_allclose(quality["pq"], [8 / 15, 0, 8 / 9])
    scores = panoptic_scores(counts, THINGS)
    assert scores["pq"] == pytest.approx(100 * (8 / 15 + 8 / 9) / 3)
    assert scores["pq_things"] == pytest.approx(100 * 4 / 15)
    assert scores["sq_stuff"] == pytest.approx(800 / 9) and scores["rq_stuff"] == 100


def test_half_is_no_match() -> None:
    truth, found = segments("1122", [CAT, SKY]), segments("1000", [CAT])
    assert tally(found, truth)["found"] == [0, 0, 0]  # an IoU of 1/2 exactly
    assert tally(found, truth)["missed"] == [1, 0, 1]


def test_void_is_not_counted() -> None:
    """Without void the cat's IoU would be 2/4; the dog lies in void by two thirds."""
    truth = segments("1100 2000 2222", [CAT, SKY])
    found = segments("1111 3222 3330", [CAT, DOG, SKY])
    assert tally(found, truth) == {
        "found": [1, 0, 1],
        "invented": [0, 0, 0],
        "missed": [0, 0, 0],
        "iou": [1, 0, 4 / 5],
    }
    half = tally(segments("0000 0222 0002", [CAT, DOG]), truth)
    assert half["invented"] == [0, 0, 0]  # 3 of 4 pixels are void
    more = tally(segments("0000 0022 0022", [CAT, DOG]), truth)
    assert more["invented"] == [0, 1, 0]  # 2 of 4: not more than half


def test_crowds_are_neither_missed_nor_matched() -> None:
    """Cats found in a crowd of cats do not count; a dog found there is a false alarm."""
    truth = segments("1111 1111 2233", [CAT, DOG, SKY], [1, 0, 0])
    found = segments("1122 1122 3344", [CAT, DOG, DOG, SKY])
    assert tally(found, truth) == {
        "found": [0, 1, 1],
        "invented": [0, 1, 0],
        "missed": [0, 0, 0],
        "iou": [0, 1, 1],
    }
    whole = tally(segments("1111 1111 0000", [CAT]), truth)
    assert whole["found"] == whole["invented"] == [0, 0, 0] and whole["missed"] == [0, 1, 1]


def test_a_crowd_stays_in_the_union() -> None:
    truth = segments("1112", [CAT, CAT], [0, 1])
    assert tally(segments("1111", [CAT]), truth)["iou"] == [3 / 4, 0, 0]


def test_pictures_add_up_and_absent_classes_do_not_count() -> None:
    one = panoptic_counts(segments("11", [CAT]), segments("11", [CAT]), 3)
    other = panoptic_counts(segments("00", []), segments("11", [CAT]), 3)
    total = one + other
    assert (total.found.tolist(), total.missed.tolist()) == ([1, 0, 0], [1, 0, 0])
    scores = panoptic_scores(total, THINGS)
    assert scores["pq"] == pytest.approx(200 / 3) and np.isnan(scores["pq_stuff"])
    assert np.isnan(panoptic_quality(total)["pq"]).tolist() == [False, True, True]


def test_counts_equal_the_authors() -> None:
    content = json.loads(REFERENCE.read_text())
    total = None
    for row in content["pictures"]:
        found = segments(row["found"], row["found_labels"])
        truth = segments(row["truth"], row["labels"], row["crowd"])
        counts = panoptic_counts(found, truth, 4)
        total = counts if total is None else total + counts
    assert total is not None
    sums = content["sums"]
    assert total.found.tolist() == sums["tp"] and total.invented.tolist() == sums["fp"]
    assert total.missed.tolist() == sums["fn"]
    np.testing.assert_allclose(total.iou, sums["iou"], rtol=1e-12)
    scores = panoptic_scores(total, (True, True, False, False))
    for ending, means in content["means"].items():
        for name in ("pq", "sq", "rq"):
            assert scores[name + ending] == pytest.approx(100 * means[name])


def test_perfect_and_relabelled_segments() -> None:
    """The truth against itself is perfect, however its segments are numbered."""
    rng = np.random.default_rng(0)
    grid = rng.integers(0, 6, (12, 12))
    labels = rng.integers(0, 3, 5)
    truth = PanopticSegments(grid, labels)
    order = rng.permutation(5)
    numbers = np.zeros(6, np.int64)
    numbers[1 + order] = np.arange(1, 6)
    found = PanopticSegments(numbers[grid], labels[order])
    counts = panoptic_counts(found, truth, 3)
    assert counts.found.sum() == 5 and counts.iou.sum() == pytest.approx(5)
    assert counts.invented.sum() == counts.missed.sum() == 0
    assert isinstance(counts, PanopticCounts)


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"must hold 0 to 1, one number a label, got .* 0 to 2"):
        segments("012", [CAT])
    with pytest.raises(InputError, match="as many crowd flags"):
        segments("1", [CAT], [1, 0])
    with pytest.raises(InputError, match="must have one size"):
        panoptic_counts(segments("11", [CAT]), segments("1", [CAT]), 3)
    with pytest.raises(InputError, match=r"must lie in \[0, 1\), got 2"):
        panoptic_counts(segments("1", [SKY]), segments("1", [CAT]), 1)
