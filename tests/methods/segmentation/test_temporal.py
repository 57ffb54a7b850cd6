"""Smoothing over time on made-up probabilities: no flicker, and as late as it says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from dense.errors import InputError
from dense.methods.segmentation.protocol import WHOLE
from dense.methods.segmentation.temporal import TemporalSegmentor
from dense.methods.segmentation.windows import WindowMean, plan_windows
from dense.structures import Sample, TextClassifier
from tests.helpers import photo, tiny_backbone

FRAME = Sample(np.zeros((8, 8, 3), np.uint8))


class Made:
    """A segmentor whose probabilities are given."""

    classifier = TextClassifier(torch.eye(2), ("cat", "dog"))
    protocol = WHOLE

    def __init__(self, dogs: Sequence[float]) -> None:
        self.frames = iter(dogs)

    def probabilities(self, sample: Sample) -> Tensor:
        dog = torch.full((2, 2), next(self.frames))
        return torch.stack([1 - dog, dog])


def play(dogs: Sequence[float], lag: float, missed: Sequence[int] = ()) -> list[float]:
    """Probability of "dog" in each frame after smoothing."""
    smooth = TemporalSegmentor(Made(dogs), lag=lag)  # type: ignore[arg-type]
    found = []
    for place in range(len(dogs)):
        result = smooth.predict(FRAME, missed=missed[place] if missed else 0)
        assert result.confidence is not None and len(np.unique(result.class_map)) == 1
        dog = bool(result.class_map[0, 0])
        found.append(float(result.confidence[0, 0]) if dog else 1 - float(result.confidence[0, 0]))
    return found


def flips(values: Sequence[float]) -> int:
    return int(np.abs(np.diff(np.array(values) > 0.5)).sum())


def test_a_flickering_clip_is_calm() -> None:
    """A cat that every third frame takes for a dog; then a dog, as unsteadily."""
    clip = ([0.3, 0.3, 0.7] * 8) + ([0.7, 0.7, 0.3] * 8)
    assert flips(clip) == 30
    assert flips(play(clip, lag=3.0)) == 1


@pytest.mark.parametrize("lag", [0.5, 1.0, 4.0])
def test_the_lag_is_the_mean_delay(lag: float) -> None:
    """After a step, what is still missing adds up to the lag in frames."""
    answer = play([0.0] + [1.0] * 120, lag)
    assert sum(1 - value for value in answer[1:]) == pytest.approx(lag, abs=1e-3)


def test_no_lag_changes_nothing_and_lost_frames_fade() -> None:
    clip = [0.2, 0.9, 0.4]
    assert play(clip, 0.0) == pytest.approx(clip)
    # d = 1/2; after one lost frame the past weighs 1/4.
    assert play([0.0, 1.0], 1.0, [0, 1])[1] == pytest.approx(0.75)


def test_another_size_and_restart_begin_anew() -> None:
    smooth = TemporalSegmentor(Made([0.0, 1.0]), lag=9.0)  # type: ignore[arg-type]
    smooth.predict(FRAME)
    smooth.restart()
    assert (smooth.predict(FRAME).class_map == 1).all()


def test_a_negative_lag() -> None:
    with pytest.raises(InputError, match="0 or more frames, got -1"):
        TemporalSegmentor(Made([]), lag=-1)  # type: ignore[arg-type]


def test_probabilities_of_a_segmentor_decide_as_predict_does() -> None:
    from dense.apps.segment import make_segmentor

    segmentor = make_segmentor(tiny_backbone(), ["cat; kitten", "table"], short_side=64)
    sample = Sample(photo(64, 64))
    got = segmentor.probabilities(sample)
    assert got.shape == (2, 8, 8) and (got.sum(0) <= 1 + 1e-5).all()
    (whole,) = segmentor.predict([sample])
    smoothed = TemporalSegmentor(segmentor, lag=0).predict(sample)
    centres = (slice(4, None, 8), slice(4, None, 8))
    agree = smoothed.class_map[centres] == whole.class_map[centres]
    assert agree.mean() > 0.95


def test_a_mean_without_windows_is_a_bug() -> None:
    with pytest.raises(RuntimeError, match="no window was scored"):
        WindowMean(plan_windows((32, 32), (8, 8), None, None), 1).scores()
