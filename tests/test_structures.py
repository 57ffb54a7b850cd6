"""Values are checked when they are made."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.structures import (
    AnomalyResult,
    DenseFeatures,
    DetectionResult,
    Sample,
    SegmentationResult,
    TextClassifier,
)

IMAGE = np.zeros((4, 6, 3), np.uint8)
MAP = np.zeros((4, 6), np.float32)
BOXES = np.zeros((2, 4), np.float32)
ONES = np.ones(2, np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sample(MAP), r"Sample\.image must have 3 axes, got 2"),
        (lambda: Sample(np.zeros((4, 6, 4), np.uint8)), "image channels must agree, expected 3"),
        (lambda: Sample(IMAGE, mask=np.zeros((6, 4))), r"mask size.*\(4, 6\), got \(6, 4\)"),
        (lambda: Sample(IMAGE, boxes=np.zeros((2, 5), np.float32)), "box columns.*got 5"),
        (
            lambda: DenseFeatures(torch.zeros(1, 2), torch.zeros(1, 5, 3), torch.zeros(1, 2, 2, 2)),
            "patch count must agree, expected 4, got 5",
        ),
        (lambda: TextClassifier(torch.zeros(2, 3), ("a",)), "rows and classes.*expected 1, got 2"),
        (
            lambda: TextClassifier(torch.zeros(2, 3), ("a",), torch.zeros(3)),
            "class_index must agree, expected 2, got 3",
        ),
        (lambda: SegmentationResult(IMAGE, ("a",)), "class_map must have 2 axes"),
        (
            lambda: SegmentationResult(np.zeros((4, 6), np.int64), ("a",), MAP.T),
            "confidence and class_map sizes",
        ),
        (lambda: AnomalyResult(MAP, 0.0, MAP.T > 0), "mask and map sizes"),
        (lambda: DetectionResult(BOXES, ONES[:1], ONES, ("a",)), "boxes and scores.*got 1"),
        (lambda: DetectionResult(BOXES, ONES, ONES[:1], ("a",)), "boxes and labels"),
        (lambda: DetectionResult(BOXES, ONES, ONES, ("a",), MAP[:1] > 0), "boxes and masks"),
    ],
)
def test_disagreeing_values(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()


def test_values_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Sample(IMAGE).label = 1


def test_derived_values() -> None:
    assert Sample(IMAGE).image_size == (4, 6)
    classifier = TextClassifier(torch.eye(3), ("a", "b"), torch.tensor([0, 0, 1]), 50.0, 1)
    assert classifier.num_classes == 2
    moved = classifier.to("cpu")
    assert moved.class_index is not None
    assert moved.class_index.tolist() == [0, 0, 1]
    assert (moved.logit_scale, moved.background) == (50.0, 1)


def test_nothing_is_decided_without_a_threshold() -> None:
    result = AnomalyResult(MAP, 0.3)
    assert result.mask is None
    assert result.is_anomalous is None
