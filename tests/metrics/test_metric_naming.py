"""Names of regions scored by hand, and their sizes."""

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics.naming import naming_by_size, naming_scores, size_groups

LABELS = np.array([0, 0, 0, 1])
BEST = np.array([[0, 1], [1, 0], [2, 1], [1, 2]])
SURE = np.array([0.9, 0.6, 0.5, 1.0])


def test_accuracy_by_hand() -> None:
    scores = naming_scores(LABELS, BEST, SURE)
    assert scores["top1"] == 50 and scores["top5"] == 75  # rows 0 and 3; row 1 at second place
    assert scores["mean_top1"] == pytest.approx((100 / 3 + 100) / 2)
    assert scores["mean_top5"] == pytest.approx((200 / 3 + 100) / 2)
    assert scores["count"] == 4
    empty = naming_scores(LABELS[:0], BEST[:0], SURE[:0])
    assert np.isnan(empty["top1"]) and empty["count"] == 0


def test_sizes_by_hand() -> None:
    areas = np.array([1023.0, 1024.0, 9216.0, 9215.0, 5.0, 5.0, 1e6])
    groups = {name: np.flatnonzero(rows).tolist() for name, rows in size_groups(areas).items()}
    # ranks: 4 5 0 1 3 2 6, three times over seven
    assert groups["smallest_third"] == [0, 4, 5]
    assert groups["middle_third"] == [1, 3] and groups["largest_third"] == [2, 6]
    assert groups["small"] == [0, 4, 5] and groups["medium"] == [1, 3]
    assert groups["large"] == [2, 6]


def test_thirds_are_of_equal_size_even_where_areas_are() -> None:
    groups = size_groups(np.full(9, 4.0))
    assert [int(groups[f"{name}_third"].sum()) for name in ("smallest", "middle", "largest")] == [
        3, 3, 3,
    ]  # fmt: skip
    assert np.flatnonzero(groups["smallest_third"]).tolist() == [0, 1, 2]


def test_by_size_by_hand() -> None:
    scores = naming_by_size(LABELS, BEST, SURE, np.array([100.0, 200.0, 9e4, 9e4]))
    assert scores["top1_smallest_third"] == 50 and scores["count_smallest_third"] == 2
    assert scores["top1_large"] == 50 and scores["count_medium"] == 0
    assert np.isnan(scores["top1_medium"]) and scores["top1"] == 50


@pytest.mark.parametrize("area", [0.0, -1.0, np.nan])
def test_areas_must_be_positive(area: float) -> None:
    with pytest.raises(InputError, match="must be positive numbers"):
        size_groups(np.array([4.0, area]))
