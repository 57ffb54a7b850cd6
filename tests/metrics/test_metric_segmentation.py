from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from dense.errors import InputError
from dense.metrics import (
    SegmentationCounts,
    boundary_counts,
    boundary_iou,
    boundary_scores,
    confusion_matrix,
    mask_boundary,
    segmentation_scores,
)

TARGET = np.array([[0, 0, 1, 1], [0, 1, 1, 255], [3, 3, 255, 0]])
PRED = np.array([[0, 1, 1, 1], [0, 1, 0, 3], [3, 2, 9, 0]])


def test_confusion_hand_worked():
    confusion = confusion_matrix(PRED, TARGET, 5)
    expected = [
        [3, 1, 0, 0, 0],
        [1, 3, 0, 0, 0],
        [0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 0, 0, 0],
    ]
    assert confusion.tolist() == expected
    assert confusion.dtype == np.int64


def test_scores_hand_worked():
    scores = segmentation_scores(confusion_matrix(PRED, TARGET, 5))
    # Class 2 is predicted but never true: IoU 0 counts. Class 4 is absent: left out.
    assert scores["iou_per_class"] == pytest.approx([60, 60, 0, 50, np.nan], nan_ok=True)
    assert scores["acc_per_class"] == pytest.approx([75, 75, np.nan, 50, np.nan], nan_ok=True)
    assert scores["miou"] == pytest.approx(42.5)
    assert scores["macc"] == pytest.approx(200 / 3)
    assert scores["aacc"] == pytest.approx(70)


def test_iou_metric_formulas_on_a_random_set():
    rng = np.random.default_rng(0)
    total, k = np.zeros((7, 7), dtype=np.int64), 7
    inter, pred_area, true_area = np.zeros(k), np.zeros(k), np.zeros(k)
    for _ in range(4):
        target = rng.choice([0, 1, 2, 3, 5, 255], size=(11, 13)).astype(np.uint8)
        pred = np.where(rng.random(target.shape) < 0.5, target % 7, rng.integers(0, 6, (11, 13)))
        total += confusion_matrix(pred, target, k)
        valid = target != 255
        p, t = pred[valid], target[valid]
        inter += np.histogram(p[p == t], bins=k, range=(0, k))[0]
        pred_area += np.histogram(p, bins=k, range=(0, k))[0]
        true_area += np.histogram(t, bins=k, range=(0, k))[0]
    with np.errstate(invalid="ignore"):
        iou, acc = inter / (pred_area + true_area - inter), inter / true_area
    scores = segmentation_scores(total)
    assert scores["miou"] == pytest.approx(100 * np.nanmean(iou))
    assert scores["macc"] == pytest.approx(100 * np.nanmean(acc))
    assert scores["aacc"] == pytest.approx(100 * inter.sum() / true_area.sum())


def test_class_order_is_equivariant():
    order = np.array([3, 0, 4, 1, 2])
    renamed = np.append(order, np.full(251, 255))
    before = segmentation_scores(confusion_matrix(np.minimum(PRED, 4), TARGET, 5))
    after = segmentation_scores(confusion_matrix(renamed[np.minimum(PRED, 4)], renamed[TARGET], 5))
    expected = np.array(before["iou_per_class"])
    assert np.array(after["iou_per_class"])[order] == pytest.approx(expected, nan_ok=True)
    assert after["miou"] == pytest.approx(before["miou"])


def test_nothing_but_ignored_pixels_is_undefined():
    blank = np.full((3, 3), 255)
    counts = SegmentationCounts.from_maps(blank, blank, 2)
    scores = segmentation_scores(counts.confusion)
    boundary = boundary_scores(counts.boundary)
    assert np.isnan([scores["miou"], scores["macc"], scores["aacc"]]).all()
    assert np.isnan(boundary["boundary_miou"])


def test_another_ignore_index():
    confusion = confusion_matrix([0, 1, 1], [0, 0, 1], 2, ignore_index=0)
    assert confusion.tolist() == [[0, 0], [0, 1]]


def test_boundary_of_a_square_is_its_ring():
    mask = np.zeros((20, 20), dtype=bool)
    mask[5:12, 5:12] = True
    # 0.02 * 28.3 rounds to 1 pixel, 0.07 * 28.3 to 2 pixels.
    ring = mask_boundary(mask)
    assert ring.sum() == 49 - 25
    assert not ring[6:11, 6:11].any()
    assert mask_boundary(mask, 0.07).sum() == 49 - 9


def test_image_border_is_contour():
    ring = mask_boundary(np.ones((6, 8)))
    assert ring.sum() == 48 - 24


def test_boundary_equals_repeated_erosion():
    mask = ndimage.gaussian_filter(np.random.default_rng(1).random((90, 120)), 4) > 0.5
    inside = ndimage.binary_erosion(mask, np.ones((3, 3)), iterations=3, border_value=0)
    assert np.array_equal(mask_boundary(mask), mask & ~inside)


def test_boundary_iou_hand_worked():
    mask, other = np.zeros((20, 20), dtype=bool), np.zeros((20, 20), dtype=bool)
    mask[5:12, 5:12] = True
    other[5:12, 6:13] = True
    # Rings of 24 pixels that share 6 + 6 pixels of the top and bottom rows; their columns
    # 5, 11 and 6, 12 differ.
    assert boundary_iou(mask, other) == pytest.approx(12 / 36)
    assert boundary_iou(mask, mask) == 1.0
    assert np.isnan(boundary_iou(mask & False, mask & False))


def test_boundary_counts_of_classes():
    target, pred = np.zeros((20, 20), dtype=int), np.zeros((20, 20), dtype=int)
    target[5:12, 5:12] = 1
    pred[5:12, 6:13] = 1
    counts = boundary_counts(pred, target, 3)
    assert counts[1].tolist() == [12, 36]
    assert counts[2].tolist() == [0, 0]
    scores = boundary_scores(counts)
    background = 100 * boundary_iou(pred == 0, target == 0)
    expected = [background, 100 / 3, np.nan]
    assert scores["boundary_iou_per_class"] == pytest.approx(expected, nan_ok=True)
    assert scores["boundary_miou"] == pytest.approx((background + 100 / 3) / 2)


def test_ignored_pixels_have_no_boundary():
    target = np.zeros((20, 20), dtype=int)
    target[:, 10:] = 255
    pred = target.copy()
    pred[:, 10:] = np.arange(200).reshape(20, 10) % 2
    assert boundary_counts(pred, target, 2)[1].tolist() == [0, 0]
    inter, union = boundary_counts(pred, target, 2)[0]
    assert inter == union > 0


def test_counts_of_images_add_up():
    rng = np.random.default_rng(2)
    images = [(rng.integers(0, 3, (9, 9)), rng.integers(0, 3, (9, 9))) for _ in range(3)]
    total = SegmentationCounts.from_maps(*images[0], 3)
    for pair in images[1:]:
        total = total + SegmentationCounts.from_maps(*pair, 3)
    joined = confusion_matrix(*map(np.stack, zip(*images, strict=True)), 3)
    assert np.array_equal(total.confusion, joined)
    assert np.array_equal(total.boundary, sum(boundary_counts(p, t, 3) for p, t in images))


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: confusion_matrix(PRED[:2], TARGET, 5), r"size, but they have \(2, 4\) and \(3"),
        (lambda: confusion_matrix(PRED * 1.0, TARGET, 5), "pred must hold integer class indices"),
        (lambda: confusion_matrix(PRED, TARGET, 3), r"pred must hold .* 0 to 2 .* holds \[3\]"),
        (lambda: confusion_matrix(PRED % 2, TARGET, 2), r"target must hold .* holds \[3\]"),
        (lambda: confusion_matrix([-1], [0], 2), r"pred must hold .* holds \[-1\]"),
        (lambda: segmentation_scores(np.zeros((2, 3))), r"shape \(K, K\), but it has \(2, 3\)"),
        (lambda: boundary_scores(np.zeros((2, 3))), r"shape \(K, 2\), but they have \(2, 3\)"),
        (lambda: mask_boundary(np.zeros(3)), r"mask must have shape \(H, W\)"),
        (lambda: mask_boundary(np.eye(3) * 7), "mask must hold only 0 and 1, but it holds 7.0"),
        (lambda: mask_boundary(np.eye(3), 0.0), "dilation_ratio must be a fraction"),
        (lambda: boundary_iou(np.eye(3), np.eye(4)), "same size"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(InputError, match=match):
        call()
