from __future__ import annotations

import numpy as np
import pytest

from dense.errors import InputError
from dense.metrics import PimoScores, aupimo
from dense.metrics import pimo as pimo_module


def ladder(counts: list[int]) -> np.ndarray:
    """A megapixel with ``counts`` pixels at the scores 7, 6, ..., 1."""
    return np.repeat(np.arange(7.0, 0.0, -1.0), counts).reshape(1000, 1000)


@pytest.mark.parametrize(
    ("bounds", "same", "tenfold"), [((1e-1, 1.0), 0.55, 1.0), ((1e-5, 1e-4), 5.5e-5, 5.5e-4)]
)
def test_known_values_on_a_megapixel(bounds, same, tenfold):
    normal = ladder([1, 9, 90, 900, 9000, 90000, 900000])
    shifted = ladder([10, 90, 900, 9000, 90000, 900000, 0])
    mask = np.ones((1000, 1000), dtype=bool)
    scores = aupimo([normal, normal, shifted], [None, mask, mask], bounds)
    assert scores == pytest.approx([np.nan, same, tenfold], nan_ok=True)


def test_anomalib_agrees(reference):
    numbers = reference.numbers["anomalib"]
    bounds = tuple(numbers["aupimo_bounds"])
    expected = [np.nan if v is None else v for v in numbers["aupimo"]]
    scores = aupimo(list(reference.maps), list(reference.masks), bounds)
    assert scores == pytest.approx(expected, abs=1e-6, nan_ok=True)


def by_definition(maps, masks, index, bounds):
    """The polygon through all thresholds, integrated on a fine grid of log rates."""
    normal = [m for m, k in zip(maps, masks, strict=True) if not k.any()]
    defect = maps[index][masks[index]]
    thresholds = np.unique(np.concatenate([defect, *[n.ravel() for n in normal]]))[::-1]
    rate = np.array([np.mean([(n >= t).mean() for n in normal]) for t in thresholds])
    recall = np.array([(defect >= t).mean() for t in thresholds])
    grid = np.linspace(*np.log(bounds), 200001)
    grid = (grid[1:] + grid[:-1]) / 2
    held = recall[rate == 0].max(initial=0.0)
    positive = rate > 0
    curve = np.interp(grid, np.log(rate[positive]), recall[positive])
    return np.where(grid < np.log(rate[positive].min()), held, curve).mean()


@pytest.mark.parametrize("bounds", [(1e-3, 1e-1), (1e-2, 0.5), (0.2, 1.0), (1e-5, 1e-4)])
@pytest.mark.parametrize("levels", [12, 10**6])
def test_equals_its_definition_on_images_of_several_sizes(bounds, levels):
    rng = np.random.default_rng(levels)
    sizes = [(9, 11), (30, 31), (5, 7), (20, 20), (16, 12)]
    masks = [rng.random(s) < 0.3 * (i % 2) for i, s in enumerate(sizes)]
    maps = [
        (np.floor((rng.random(m.shape) + 0.4 * m) * levels) / levels).astype(np.float32)
        for m in masks
    ]
    scores = aupimo(maps, masks, bounds)
    assert np.isnan(scores[[0, 2, 4]]).all()
    for index in (1, 3):
        expected = by_definition(maps, masks, index, bounds)
        assert scores[index] == pytest.approx(expected, abs=2e-5)


def test_silent_normals_and_perfect_maps():
    mask = np.zeros((10, 10), dtype=bool)
    mask[2:4, 2:4] = True
    assert aupimo([mask * 1.0, np.zeros((10, 10))], [mask, None])[0] == 1.0
    assert aupimo([np.zeros((10, 10)), np.ones((10, 10))], [mask, None])[0] == 0.0


def test_without_normal_images_all_is_undefined():
    mask = np.eye(4, dtype=bool)
    assert np.isnan(aupimo([np.eye(4), np.eye(4)], [mask, mask])).all()


@pytest.mark.parametrize("bounds", [(0.0, 1e-4), (1e-4, 1e-5), (1e-2, 1.5)])
def test_bad_bounds(bounds):
    with pytest.raises(InputError, match="bounds must be two increasing rates"):
        aupimo([np.eye(4)], [None], bounds)


def test_lengths_differ():
    with pytest.raises(InputError, match="same length, but they have 1 and 2"):
        aupimo([np.eye(4)], [None, None])


@pytest.mark.parametrize("levels", [9, 10**6])
def test_pruning_while_streaming_changes_nothing(levels, monkeypatch):
    """Normal scores that cannot matter are dropped after every image; the order is free."""
    rng = np.random.default_rng(3)
    masks = [rng.random((30, 40)) < 0.2 * (i % 3 == 0) for i in range(12)]
    maps = [np.floor((rng.random(m.shape) + 0.5 * m) * levels) / levels for m in masks]
    bounds = (1e-3, 1e-2)
    expected = aupimo(maps, masks, bounds)
    assert len(np.unique(expected[::3])) == 4
    monkeypatch.setattr(pimo_module, "PRUNE_AT", 0)
    for order in (range(12), sorted(range(12), key=lambda i: i % 3 == 0)):
        collector = PimoScores(8, bounds)
        for place in order:
            collector.add(maps[place], masks[place])
        assert collector.scores() == pytest.approx(expected[::3], abs=1e-12)
        assert collector.mean() == pytest.approx(np.nanmean(expected))
        assert sum(values.size for values, _ in collector._normal) < 0.1 * 8 * 1200 or levels == 9


def test_another_number_of_normal_images_than_announced():
    collector = PimoScores(2)
    collector.add(np.eye(3), None)
    with pytest.raises(InputError, match="2 normal images were announced, but 1 came"):
        collector.scores()
    with pytest.raises(InputError, match="normal_images must be 0 or more, but it is -1"):
        PimoScores(-1)


def test_no_anomalous_image_has_no_mean():
    collector = PimoScores(1)
    collector.add(np.eye(3), None)
    assert np.isnan(collector.mean())
