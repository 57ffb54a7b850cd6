"""Words and memory on one scale: what is normal, laws, limits of the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from dense.backbones.recommended import Recommended
from dense.errors import InputError
from dense.methods.anomaly.patch import PatchInspector, PatchProtocol
from dense.methods.anomaly.scale import Scale
from dense.methods.anomaly.words_memory import (
    WordsMemoryInspector,
    WordsMemoryProtocol,
    advised,
)
from dense.prompts import StateWords
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

SMALL = {"layers": (-2,), "short_side": 64, "top": 0.05, "rotations": 1}


def samples(*seeds: int) -> list[Sample]:
    return [Sample(photo(40, 56, seed), Path(f"{seed}.png")) for seed in seeds]


def make(backbone=None, **more) -> WordsMemoryInspector:  # type: ignore[no-untyped-def]
    protocol = WordsMemoryProtocol(**{**SMALL, **more})
    return WordsMemoryInspector(backbone or tiny_backbone(), "nut", protocol=protocol)


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        ((200, 300), (336, 504)),  # too few pixels: brought to short_side
        ((500, 500), (504, 504)),  # its own detail, in whole patches of 14
        ((1024, 1024), (672, 672)),  # no more than finest_side
    ],
)
def test_pictures_keep_their_detail_up_to_a_bound(original, expected) -> None:  # type: ignore[no-untyped-def]
    protocol = WordsMemoryProtocol(short_side=336, finest_side=672)
    assert protocol.input_size(original, (14, 14)) == expected


def test_a_memory_asks_for_detail_and_words_alone_do_not() -> None:
    advice = Recommended(words_short_side=224, memory_short_side=336)
    assert (advised(advice, 4).short_side, advised(advice, 4).finest_side) == (336, 672)
    assert (advised(advice, 0).short_side, advised(advice, 0).finest_side) == (224, None)


def test_scale_by_hand() -> None:
    scale = Scale.of([torch.tensor([[0.0, 2.0]]), torch.tensor([[4.0, 6.0]])], [2.0, 6.0])
    assert (scale.mean, scale.score) == (3.0, 4.0)
    assert scale.spread == pytest.approx(5**0.5)
    patch_map, score = scale.deviations(torch.tensor([[3.0, 8.0]]), 9.0)
    torch.testing.assert_close(patch_map, torch.tensor([[0.0, 5**0.5]]))
    assert score == pytest.approx(5**0.5)


@pytest.mark.parametrize("words", [0.0, 1.0])
def test_weights_at_their_limits_rank_like_one_part_alone(words: float) -> None:
    backbone, support, probes = tiny_backbone(), samples(0, 1), samples(7, 8)
    fused = make(backbone, map_words=words, score_words=words).fit(support)
    alone = PatchInspector(backbone, "nut", protocol=PatchProtocol(**SMALL, temperature=1.0))
    if words == 0.0:
        alone.fit(support)
    for left, right in zip(fused.predict(probes), alone.predict(probes), strict=True):
        pair = (left.anomaly_map.ravel(), right.anomaly_map.ravel())
        assert np.corrcoef(*pair)[0, 1] > 0.999


def test_the_support_left_out_of_its_own_memory_is_at_zero() -> None:
    """Three pictures: on average over patches each is as normal as the others make it."""
    inspector = make(map_words=0.0, score_words=0.0).fit(samples(0, 1, 2))
    with torch.inference_mode():
        looks = list(inspector.look(samples(0, 1, 2)))
        far = [inspector.distance(look, without=f"{n}.png") for n, look in enumerate(looks)]
    scale = inspector._scales[""][1]
    assert torch.stack(far).mean().item() == pytest.approx(scale.mean, abs=1e-6)
    assert torch.stack(far).std(correction=0).item() == pytest.approx(scale.spread, abs=1e-6)


def test_results_do_not_depend_on_what_is_tested_beside() -> None:
    inspector = make().fit(samples(0, 1))
    alone = inspector.predict(samples(7))[0]
    beside = inspector.predict(samples(7, 8, 9))[0]
    assert alone.score == pytest.approx(beside.score, abs=1e-4)


@pytest.mark.parametrize("lies_any_way", [False, True])
def test_turned_copies_stay_only_where_they_bring_normal_pictures_nearer(
    lies_any_way: bool,
) -> None:
    part = photo(64, 64, 3)
    turned = [np.rot90(part, turn if lies_any_way else 0).copy() for turn in range(3)]
    support = [Sample(image, Path(f"{n}.png")) for n, image in enumerate(turned)]
    inspector = make(rotations=4).fit(support)
    rows = len(inspector.memory()[0])
    assert rows == 3 * 64 * (4 if lies_any_way else 1)


def test_one_picture_keeps_its_turned_copies() -> None:
    assert len(make(rotations=4).fit(samples(0)).memory()[0]) == 4 * 8 * 11


def test_one_picture_measures_itself_apart() -> None:
    inspector = make().fit(samples(0))
    result = inspector.predict(samples(9))[0]
    assert np.isfinite(result.anomaly_map).all() and np.isfinite(result.score)
    assert inspector.describe()["method"] == "words and memory"


def test_without_support_it_is_words_alone() -> None:
    backbone, probe = tiny_backbone(), samples(3)
    words = PatchInspector(backbone, "nut", protocol=PatchProtocol(**SMALL)).predict(probe)[0]
    assert make(backbone).predict(probe)[0].score == pytest.approx(words.score)


def test_a_memory_file_gives_the_same_results(tmp_path: Path) -> None:
    backbone = tiny_backbone()
    fitted = make(backbone, rotations=4).fit(samples(0, 1))
    path = fitted.save_memory(tmp_path / "m.safetensors")
    loaded = make(backbone, rotations=4).load_memory(path)
    for left, right in zip(fitted.predict(samples(7)), loaded.predict(samples(7)), strict=True):
        assert left.score == pytest.approx(right.score, abs=1e-5)
        np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-5)
    with pytest.raises(InputError, match="made with other words"):
        make(backbone).steer(StateWords(("rust",))).load_memory(path)


def test_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="map_words and score_words must lie"):
        make(map_words=1.5)
    inspector = make().fit(samples(0, 1))
    with pytest.raises(InputError, match="instead of add"):
        inspector.add(samples(2))
    with pytest.raises(InputError, match="cannot forget one picture"):
        inspector.remove("0.png")
    path = (
        PatchInspector(tiny_backbone(), "nut", protocol=PatchProtocol(**SMALL))
        .fit(samples(0))
        .save_memory(tmp_path / "other.safetensors")
    )
    with pytest.raises(InputError, match="made with other words"):
        make().load_memory(path)
    with pytest.raises(InputError, match="too few to compare a picture with itself"):
        make(apart=9).fit(samples(0))
    with pytest.raises(InputError, match="turn_gain must lie"):
        make(turn_gain=1.5)
