"""Where to look: patches outside are dropped from the tower, exactly, and from memory and score."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dense.backbones.attention import last_block
from dense.errors import InputError
from dense.methods.anomaly.patch import PatchInspector, PatchProtocol
from dense.methods.anomaly.patches import top_mean
from dense.methods.anomaly.words_memory import WordsMemoryInspector, WordsMemoryProtocol
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone

SMALL = {"layers": (-2,), "short_side": 64, "top": 0.05}


def make(kind: str, **more: object) -> PatchInspector:
    if kind == "patch":
        protocol = PatchProtocol(**{**SMALL, **more})  # type: ignore[arg-type]
        return PatchInspector(tiny_backbone(), "nut", protocol=protocol)
    wider = WordsMemoryProtocol(**{**SMALL, "rotations": 1, **more})  # type: ignore[arg-type]
    return WordsMemoryInspector(tiny_backbone(), "nut", protocol=wider)


def disc(height: int = 64, width: int = 64) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    return (y - 32) ** 2 + (x - 32) ** 2 < 20**2


def samples(*seeds: int, inside: np.ndarray | None = None) -> list[Sample]:
    return [Sample(photo(64, 64, s), Path(f"{s}.png"), inside=inside) for s in seeds]


def test_dropping_is_the_tower_on_fewer_tokens() -> None:
    """The same as a window of `encode_windows`, which drops the same tokens."""
    vit = tiny_backbone().vit
    images, keep = torch.randn(2, 3, 32, 32), torch.tensor([0, 1, 5, 9])
    with torch.no_grad():
        features = vit(images, keep=keep, intermediates=(0,))
        (window,) = vit.encode_windows(images, [keep[None]])
    torch.testing.assert_close(features.class_token, window[:, 0], atol=1e-5, rtol=1e-4)
    outside = torch.ones(16, dtype=torch.bool)
    outside[keep] = False
    assert not features.dense.flatten(2)[:, :, outside].any()
    assert not features.intermediates[0].flatten(2)[:, :, outside].any()
    assert features.dense.flatten(2)[:, :, keep].abs().sum(1).min() > 0


def test_keeping_all_changes_nothing() -> None:
    vit, images = tiny_backbone().vit, torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        left, right = vit(images), vit(images, keep=torch.arange(16))
    torch.testing.assert_close(left.dense, right.dense)


def test_attention_by_place_refuses() -> None:
    vit, images = tiny_backbone().vit, torch.randn(1, 3, 32, 32)
    with pytest.raises(InputError, match="needs all patches"):
        vit(images, last_block("neighbourhood"), keep=torch.tensor([0]))


@pytest.mark.parametrize("kind", ["patch", "words-memory"])
@pytest.mark.parametrize("shots", [0, 1, 3])
def test_what_lies_outside_changes_nothing(kind: str, shots: int) -> None:
    inside = disc()
    inspector = make(kind)
    if shots:
        inspector.fit(samples(*range(shots), inside=inside))
        kept = inside.reshape(8, 8, 8, 8).any((1, 3)).sum()
        assert len(inspector.memory()[0]) == shots * kept < shots * 64
    (left,) = samples(7, inside=inside)
    image = left.image.copy()
    image[:8], image[-8:] = 0, 255  # rows of patches that the disc does not touch
    one, other = inspector.predict([left, replace(left, image=image)])
    np.testing.assert_allclose(one.anomaly_map[inside], other.anomaly_map[inside], atol=1e-4)
    assert one.score == pytest.approx(other.score, abs=1e-4)
    assert np.isfinite(one.anomaly_map).all()


def test_a_support_picture_is_at_distance_zero_inside() -> None:
    inspector = make("patch").fit(samples(0, 1, inside=disc()))
    result = inspector.predict(samples(0, inside=disc()))[0]
    np.testing.assert_allclose(result.anomaly_map, 0, atol=1e-5)


def test_turned_copies_turn_where_to_look() -> None:
    corner = np.zeros((64, 64), np.bool_)
    corner[:16, :16] = True
    turned = make("patch", rotations=4).turned(samples(0, inside=corner))
    places = [np.argwhere(one.inside).mean(0) for one in turned if one.inside is not None]
    expected = [(7.5, 7.5), (55.5, 7.5), (55.5, 55.5), (7.5, 55.5)]
    np.testing.assert_allclose(places, expected, atol=1)


def test_the_top_leaves_out_what_was_not_seen() -> None:
    assert top_mean(torch.tensor([1.0, torch.nan, 3.0, 2.0]), 0.5) == 2.5
    assert top_mean(torch.tensor([torch.nan, 4.0]), 1.0) == 4.0


def test_where_to_look_has_the_size_of_the_picture() -> None:
    with pytest.raises(InputError, match="inside and image size"):
        Sample(photo(8, 8), inside=np.ones((4, 8), np.bool_))
