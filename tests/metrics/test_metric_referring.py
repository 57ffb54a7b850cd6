"""Found phrases scored by hand."""

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics.referring import (
    grounding_scores,
    mask_overlap,
    paired_iou,
    referring_scores,
)


def test_boxes_by_hand() -> None:
    found = np.array([[0, 0, 4, 4], [0, 0, 2, 2], [5, 5, 6, 6], [0, 0, 0, 0]])
    truth = np.array([[0, 0, 4, 2], [1, 1, 3, 3], [0, 0, 4, 4], [0, 0, 0, 0]])
    ious = paired_iou(found, truth)
    np.testing.assert_allclose(ious, [0.5, 1 / 7, 0, 0])
    scores = grounding_scores(ious)
    assert scores["accuracy"] == 25  # exactly half counts
    assert scores["box_iou"] == pytest.approx(100 * (0.5 + 1 / 7) / 4)
    assert scores["count"] == 4
    assert np.isnan(grounding_scores(ious[:0])["accuracy"])
    with pytest.raises(InputError, match="got 4 and 1"):
        paired_iou(found, truth[:1])


def test_masks_by_hand() -> None:
    found = np.zeros((3, 2, 5), bool)
    truth = np.zeros((3, 2, 5), bool)
    found[0, 0], truth[0, 0, :4] = True, True  # 4 of 5
    found[1, 0, 0], truth[1, 1, 0] = True, True  # 0 of 2
    shared, union = mask_overlap(found, truth)
    assert shared.tolist() == [4, 0, 0] and union.tolist() == [5, 2, 0]
    scores = referring_scores(shared, union)
    assert scores["ciou"] == pytest.approx(100 * 4 / 7)
    assert scores["miou"] == pytest.approx(100 * (0.8 + 0 + 1) / 3)  # both empty is right
    assert scores["precision_50"] == pytest.approx(200 / 3) == scores["precision_80"]
    assert scores["precision_90"] == pytest.approx(100 / 3)
    assert np.isnan(referring_scores(shared[:0], union[:0])["ciou"])
    with pytest.raises(InputError, match="must agree in number and size"):
        mask_overlap(found, truth[:2])
