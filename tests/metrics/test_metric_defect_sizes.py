"""Small defects apart, by hand."""

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics.anomaly import AnomalyTally
from dense.metrics.defect_sizes import SmallDefects, region_areas, smallest_third
from dense.structures import AnomalyResult, Sample

MASK = np.zeros((6, 8), bool)
MASK[0, 0] = True  # 1 pixel
MASK[2:4, 4:6] = True  # 4
MASK[4, 6] = True  # touches the square at a corner: 5 in all


def test_areas_and_thirds():
    assert region_areas(MASK) == [1, 5]
    assert region_areas(np.zeros((2, 2))) == []
    assert smallest_third([9, 1, 5]) == 1
    assert smallest_third([1, 2, 3, 4]) == 2  # a third of four, rounded up
    assert smallest_third([2, 2, 2, 7]) == 2
    assert smallest_third([7]) == 7
    assert smallest_third([]) is None
    with pytest.raises(InputError, match="mask"):
        region_areas(np.zeros(3))


def test_scores_by_hand():
    """The small defect beats all but one of the 42 normal pixels; the large one is left out."""
    scores = np.zeros((6, 8), np.float32)
    scores[0, 0] = 2
    scores[MASK] = np.maximum(scores[MASK], 1)
    scores[0, 0], scores[5, 0] = 2, 3
    scores[2:5, 4:7][MASK[2:5, 4:7]] = -5
    small = SmallDefects(1)
    small.add(scores, MASK)
    found = small.scores()
    assert small.regions == 1
    assert found["pixel_auroc_small"] == pytest.approx(100 * 41 / 42)
    # The region is covered from the second threshold on: 1 - 1/42 up to 1, of a limit of 0.3.
    assert found["aupro_small"] == pytest.approx(100 * (0.3 - 1 / 42) / 0.3)


def test_larger_defects_and_normal_pictures_count_as_they_should():
    small = SmallDefects(1)
    only_large = np.zeros((6, 8), bool)
    only_large[2:4, 4:6] = True
    high = np.where(only_large, 9.0, 0.0).astype(np.float32)
    small.add(high, only_large)
    assert np.isnan(small.scores()["aupro_small"])
    small.add(np.where(MASK, 1.0, 0.0).astype(np.float32), MASK)
    assert small.scores()["pixel_auroc_small"] == pytest.approx(100)  # the 9s are left out
    small.add(np.full((6, 8), 2.0, np.float32), None)
    # 44 + 42 normal pixels below the defect, 48 above it.
    assert small.scores()["pixel_auroc_small"] == pytest.approx(100 * 86 / 134)


def test_the_table_has_the_columns_if_asked():
    tally = AnomalyTally(small_area=1)
    normal = np.zeros((6, 8), np.float32)
    image = np.zeros((6, 8, 3), np.uint8)
    tally.add(AnomalyResult(normal, 0.0), Sample(image, label=0))
    tally.add(
        AnomalyResult(np.where(MASK, 1, 0).astype(np.float32), 1.0),
        Sample(image, mask=MASK, label=1),
    )
    assert tally.scores()["pixel_auroc_small"] == pytest.approx(100)
    assert "1 regions of at most 1 pixels" in tally.notes()[0]
    plain = AnomalyTally()
    plain.add(AnomalyResult(normal, 0.0), Sample(image, label=0))
    assert "pixel_auroc_small" not in plain.scores()
