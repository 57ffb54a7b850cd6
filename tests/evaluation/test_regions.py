"""Region accuracy: pooled features by hand, means over classes, things and stuff."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.backbones import last_block
from dense.classifier import build_text_classifier
from dense.datasets.regions import PanopticFolder
from dense.errors import InputError
from dense.evaluation.regions import region_accuracy, region_scores_of
from dense.structures import Sample
from tests.datasets.test_regions import make_panoptic
from tests.helpers import photo, tiny_backbone

BLOCK = last_block("value")


def test_a_box_that_is_the_whole_picture_is_the_mean_of_its_patches() -> None:
    backbone, image = tiny_backbone(), photo(32, 32, 5)
    batch = backbone.preprocess.to_tensor(image)[None]
    with torch.no_grad():
        mean = backbone.vit(batch, BLOCK).dense.mean((2, 3))
    classifier = build_text_classifier(backbone, ["cat", "dog", "sky"], templates="short")
    guess = int((F.normalize(mean, dim=-1) @ classifier.weights.T).argmax())
    boxes = np.array([[0, 0, 32, 32]], np.float32)
    sample = Sample(image, boxes=boxes, box_labels=np.array([guess]))
    scores = region_accuracy(backbone, [sample], classifier, BLOCK, short_side=32)
    assert list(scores) == ["boxes"]
    assert scores["boxes"]["top1"] == scores["boxes"]["mean_top1"] == 100
    with pytest.raises(InputError, match="no boxes"):
        region_accuracy(backbone, [Sample(image)], classifier, BLOCK)


def test_means_over_classes_by_hand() -> None:
    """Class 0: one of two right; class 1: its one wrong, but second; over two pictures."""
    first = {
        "labels": np.array([0, 0]),
        "best": np.array([[0, 1], [1, 0]]),
        "sure": np.array([0.5, 0.5]),
    }
    second = {"labels": np.array([1]), "best": np.array([[0, 1]]), "sure": np.array([0.5])}
    found = region_scores_of([{"boxes": first}, {}, {"boxes": second}])["boxes"]
    assert found["top1"] == pytest.approx(100 / 3) and found["mean_top1"] == pytest.approx(25)
    assert found["top5"] == found["mean_top5"] == 100 and found["count"] == 3


def test_things_and_stuff_of_a_panoptic_folder(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    folder = PanopticFolder(make_panoptic(tmp_path))
    classifier = build_text_classifier(backbone, folder.names, templates="plain")
    scores = region_accuracy(backbone, [folder[0]], classifier, BLOCK, short_side=32)
    assert {kind: row["count"] for kind, row in scores.items()} == {
        "boxes": 1, "things": 1, "stuff": 1,
    }  # fmt: skip
