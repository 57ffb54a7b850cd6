from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage
from sklearn import metrics as sk

from dense.errors import InputError
from dense.metrics import (
    PixelScores,
    aupro,
    component_labels,
    pixel_auroc,
    pixel_average_precision,
    pixel_f1_max,
)


def random_set(seed: int, levels: int = 10**6, images: int = 5):
    rng = np.random.default_rng(seed)
    maps, masks = [], []
    for index in range(images):
        size = (int(rng.integers(9, 20)), int(rng.integers(9, 20)))
        mask = np.zeros(size, dtype=bool) if index % 2 else rng.random(size) < 0.25
        maps.append((np.floor((rng.random(size) + 0.5 * mask) * levels) / levels).astype("f4"))
        masks.append(mask)
    return maps, masks


def aupro_by_definition(maps, masks, limit):
    """Threshold by threshold: mean overlap of all regions against the pooled rate."""
    regions = []
    for scores, mask in zip(maps, masks, strict=True):
        labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
        regions += [scores[labels == r] for r in range(1, count + 1)]
    normal = np.concatenate([s[~m] for s, m in zip(maps, masks, strict=True)])
    thresholds = np.unique(np.concatenate([s.ravel() for s in maps]))[::-1]
    overlaps = [np.mean([(r >= t).mean() for r in regions]) for t in thresholds]
    rates = [(normal >= t).mean() for t in thresholds]
    points = [(0.0, 0.0), *zip(rates, overlaps, strict=True)]
    area = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        end = min(x1, limit)
        if end > x0:
            y_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + y_end) / 2
    return area / limit


@pytest.mark.parametrize("columns", [[3], [1, 3, 5]])
def test_aupro_of_a_ramp_is_one_sixth(columns):
    scores = (np.arange(2800) / 2800).reshape(400, 7)
    mask = np.zeros((400, 7), dtype=bool)
    mask[:, columns] = True
    assert aupro([scores], [mask], 1 / 3) == pytest.approx(1 / 6, abs=1e-5)
    assert aupro([scores] * 2, [mask] * 2, 1 / 3) == pytest.approx(1 / 6, abs=1e-5)


def test_aupro_hand_worked():
    # Regions of 1 and 2 pixels; 5 defect-free pixels at 0.9, 0.5, 0.5, 0.1, 0.1.
    scores = np.array([[0.95, 0.9, 0.5, 0.1], [0.5, 0.1, 0.7, 0.5]])
    mask = np.array([[1, 0, 0, 0], [0, 0, 1, 1]])
    # PRO is 1/2 from rate 0 on, 3/4 after 0.7 at rate 1/5, and rises to 1 between rates 1/5
    # and 3/5 with the pixels tied at 0.5.
    assert aupro([scores], [mask], 0.2) == pytest.approx(0.5)
    area = 0.2 * 0.5 + 0.2 * (0.75 + 0.875) / 2
    assert aupro([scores], [mask], 0.4) == pytest.approx(area / 0.4)
    area = 0.2 * 0.5 + 0.4 * 0.875 + 0.4
    assert aupro([scores], [mask], 1.0) == pytest.approx(area)


@pytest.mark.parametrize("levels", [4, 30, 10**6])
@pytest.mark.parametrize("limit", [0.05, 0.3, 1.0])
def test_aupro_equals_its_definition(levels, limit):
    maps, masks = random_set(levels, levels)
    assert aupro(maps, masks, limit) == pytest.approx(aupro_by_definition(maps, masks, limit))


def test_pixel_metrics_equal_scikit_learn_on_pooled_pixels():
    maps, masks = random_set(1, 25)
    scores = np.concatenate([m.ravel() for m in maps])
    labels = np.concatenate([m.ravel() for m in masks])
    assert pixel_auroc(maps, masks) == pytest.approx(sk.roc_auc_score(labels, scores))
    expected = sk.average_precision_score(labels, scores)
    assert pixel_average_precision(maps, masks) == pytest.approx(expected)
    value, threshold = pixel_f1_max(maps, masks)
    assert value == pytest.approx(sk.f1_score(labels, scores >= threshold))
    assert value == max(sk.f1_score(labels, scores >= t) for t in np.unique(scores))


def test_other_packages_agree(reference):
    curve = PixelScores.from_maps(list(reference.maps), list(reference.masks)).curve()
    adeval, anomalib = reference.numbers["adeval"], reference.numbers["anomalib"]
    assert curve.auroc() == pytest.approx(adeval["pixel_auroc"], abs=1e-9)
    assert curve.area(0.3) == pytest.approx(adeval["aupro"], abs=1e-6)
    assert curve.area(0.3) == pytest.approx(anomalib["aupro"], abs=1e-6)
    assert curve.area(0.05) == pytest.approx(anomalib["aupro_05"], abs=1e-6)


def test_diagonal_neighbours_are_one_region():
    labels, count = component_labels(np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0], [1, 0, 0]]))
    assert count == 2
    assert labels.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0], [2, 0, 0]]


def test_regions_weigh_the_same_whatever_their_size():
    scores, mask = np.zeros((10, 10)), np.zeros((10, 10), dtype=bool)
    mask[:5, :5] = mask[9, 9] = True
    scores[9, 9] = 1.0
    # The single pixel is found, the 25 pixels tie with all normal ones.
    assert aupro([scores], [mask], 0.3) == pytest.approx((1 + 0.15) / 2)


@pytest.mark.parametrize("bins", [None, 2**16])
def test_order_and_monotone_transforms_do_not_matter(bins):
    maps, masks = random_set(2, 40)
    result = table(PixelScores.from_maps(maps, masks, bins))
    assert table(PixelScores.from_maps(maps[::-1], masks[::-1], bins)) == pytest.approx(result)
    curved = [np.exp(4 * m) - 9 for m in maps]
    assert table(PixelScores.from_maps(curved, masks, bins)) == pytest.approx(result)


def table(pixels: PixelScores) -> list[float]:
    curve = pixels.curve()
    return [
        curve.auroc(),
        curve.average_precision(),
        curve.f1_max()[0],
        curve.area(0.3),
        curve.area(0.05),
    ]


def test_a_normal_image_adds_its_pixels_to_the_rate():
    maps, masks = random_set(5)
    with_mask = aupro([*maps, np.full((8, 8), 0.4)], [*masks, np.zeros((8, 8), dtype=bool)])
    assert aupro([*maps, np.full((8, 8), 0.4)], [*masks, None]) == with_mask
    assert with_mask != aupro(maps, masks)
    hot = [*maps, np.full((60, 60), 9.0)]
    assert aupro(hot, [*masks, None]) == 0.0


@pytest.mark.parametrize("bins", [None, 2**18])
def test_streaming_and_merging_equal_batch(bins):
    maps, masks = random_set(8)
    parts = [PixelScores(bins), PixelScores(bins)]
    buffer = np.empty((20, 20), dtype=np.float32)
    for index, (scores, mask) in enumerate(zip(maps, masks, strict=True)):
        view = buffer[: scores.shape[0], : scores.shape[1]]
        view[:] = scores
        parts[index % 2].add(view, mask)
    merged = parts[0].merge(parts[1])
    assert merged.images == 5
    assert parts[0].images == 3
    batch = table(PixelScores.from_maps(maps, masks, bins))
    assert table(merged) == pytest.approx(batch, rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, -3.0, 1e-6])
def test_histogram_equals_exact_on_rounded_scores(scale):
    maps, masks = random_set(11)
    maps = [scale * (m - 0.5) for m in maps]
    histogram = PixelScores.from_maps(maps, masks, 2**12)
    # 2**12 bins keep 12 leading bits: sign, exponent and 3 bits of fraction.
    widths = [np.exp2(np.floor(np.log2(abs(m))) - 3) for m in maps]
    rounded = [np.floor(m / w) * w for m, w in zip(maps, widths, strict=True)]
    exact = table(PixelScores.from_maps(rounded, masks))
    assert table(histogram) == pytest.approx(exact, rel=1e-6)


def test_histogram_error_is_within_its_bound():
    maps, masks = random_set(12)
    exact, coarse = (PixelScores.from_maps(maps, masks, b).curve() for b in (None, 2**12))
    for limit in (0.05, 0.3, 1.0):
        assert abs(exact.area(limit) - coarse.area(limit)) <= coarse.area_error(limit) + 1e-12
        assert coarse.area_error(limit) > 0
    assert coarse.f1_max()[0] <= exact.f1_max()[0]
    fine = PixelScores.from_maps(maps, masks, 2**24)
    assert table(fine) == pytest.approx(table(PixelScores.from_maps(maps, masks)), abs=2e-3)


def test_histogram_bounds_hold_for_precision_and_f1():
    """Rounding to few bins ties scores; the exact values lie within what the curve admits."""
    for seed in range(8):
        maps, masks = random_set(seed, levels=700)
        exact = PixelScores.from_maps(maps, masks).curve()
        rough = PixelScores.from_maps(maps, masks, 2**12).curve()
        ap, f1 = exact.average_precision(), exact.f1_max()[0]
        assert 0 < rough.average_precision_error() < 0.1
        assert abs(ap - rough.average_precision()) <= rough.average_precision_error()
        assert 0 <= f1 - rough.f1_max()[0] <= rough.f1_max_error()


def test_negative_zero_ties_with_zero_in_the_histogram():
    pixels = PixelScores(2**12)
    pixels.add(np.array([[-0.0, 0.0]]), np.array([[0, 1]]))
    assert pixels.curve().auroc() == 0.5
    assert pixels.curve().f1_max() == (pytest.approx(2 / 3), 0.0)


@pytest.mark.parametrize("bins", [None, 2**12])
@pytest.mark.parametrize("value", [0, 1])
def test_single_class_is_undefined(bins, value):
    mask = np.full((4, 5), value)
    pixels = PixelScores.from_maps([np.eye(4, 5)], [mask], bins)
    assert np.isnan(table(pixels)).all()


MAP, MASK = np.zeros((4, 4)), np.zeros((4, 4), dtype=bool)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: aupro([MAP], []), "same length, but they have 1 and 0"),
        (lambda: aupro([MAP], [MASK[:3]]), r"same size, but they have \(4, 4\) and \(3, 4\)"),
        (lambda: aupro([MAP[None]], [MASK]), r"shape \(H, W\), but it has \(1, 4, 4\)"),
        (lambda: aupro([MAP + np.nan], [MASK]), "anomaly_map must be finite, but 16 of 16"),
        (lambda: aupro([MAP + 1e200], [None]), "anomaly_map must be finite"),
        (lambda: aupro([MAP[:0]], [None]), "anomaly_map must hold at least one value"),
        (lambda: aupro([MAP], [MASK + 128]), "mask must hold only 0 and 1, but it holds 128"),
        (lambda: aupro([MAP], [MASK], 30), "limit must be a fraction"),
        (lambda: aupro([], []), "at least one image before its curve is read"),
        (lambda: PixelScores(1000), r"power of two from 2\*\*12 to 2\*\*24, but it is 1000"),
        (lambda: PixelScores().merge(PixelScores(2**12)), "same bins, but they have None and 4096"),
        (lambda: component_labels(np.zeros(4)), r"mask must have shape \(H, W\)"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(InputError, match=match):
        call()
