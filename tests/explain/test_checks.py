"""Curves by hand, random orders, random weights; pictures; bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError
from dense.explain.checks import (
    faithfulness,
    filled,
    perturbation_curves,
    random_areas,
    random_twin,
    randomised_weights,
)
from dense.explain.draw import AGAINST, FOR, draw_map, draw_words
from dense.explain.explain import explain
from dense.explain.pair import make_pair
from dense.explain.tokens import read_sentence
from tests.helpers import photo, tiny_backbone

BACKBONE = tiny_backbone()
IMAGE = photo(32, 32)
PAIR = make_pair(BACKBONE, IMAGE, "a cat")


def score(image: torch.Tensor) -> float:
    with torch.no_grad():
        feature = F.normalize(BACKBONE.model.encode_image(image)[0], dim=0)
    return float(feature @ PAIR.text.feature)


def test_curves_by_hand() -> None:
    """Four of sixteen patches a step: the order is that of the map."""
    patches = np.arange(16, dtype=np.float32).reshape(4, 4)
    curves = perturbation_curves(PAIR, patches, fill="mean", steps=4)
    assert PAIR.trace.images is not None
    whole = PAIR.trace.images
    empty = whole.mean((2, 3), keepdim=True).expand_as(whole)
    last_row = whole.clone()
    last_row[:, :, 24:] = empty[:, :, 24:]
    only_last_row = empty.clone()
    only_last_row[:, :, 24:] = whole[:, :, 24:]
    np.testing.assert_allclose(curves.shares, [0, 0.25, 0.5, 0.75, 1])
    expected = [score(whole), score(last_row), score(empty)]
    np.testing.assert_allclose(curves.deletion[[0, 1, 4]], expected, atol=1e-5)
    expected = [score(empty), score(only_last_row), score(whole)]
    np.testing.assert_allclose(curves.insertion[[0, 1, 4]], expected, atol=1e-5)


def test_the_reversed_order_swaps_the_curves() -> None:
    patches = np.random.default_rng(0).random((4, 4))
    one = perturbation_curves(PAIR, patches, steps=4)
    other = perturbation_curves(PAIR, -patches, steps=4)
    np.testing.assert_allclose(one.deletion, other.insertion[::-1], atol=1e-5)
    assert one.deletion_area == pytest.approx(other.insertion_area, abs=1e-6)


def test_fills() -> None:
    black = filled(PAIR, "black")
    mean = torch.tensor(BACKBONE.preprocess.mean).view(1, 3, 1, 1)
    std = torch.tensor(BACKBONE.preprocess.std).view(1, 3, 1, 1)
    torch.testing.assert_close(black * std + mean, torch.zeros(1, 3, 32, 32), atol=1e-6, rtol=0)
    soft, sharp = filled(PAIR, "blur"), PAIR.trace.images
    assert sharp is not None
    assert float(soft.std()) < 0.7 * float(sharp.std())
    with pytest.raises(InputError, match="unknown fill"):
        filled(PAIR, "noise")  # type: ignore[arg-type]


def test_an_honest_order_beats_chance() -> None:
    """Each patch's own worth when it alone is deleted: better than random orders."""
    worth = np.zeros((4, 4))
    base = filled(PAIR, "mean")
    for row, column in np.ndindex(4, 4):
        without = PAIR.trace.images.clone()  # type: ignore[union-attr]
        place = (..., slice(8 * row, 8 * row + 8), slice(8 * column, 8 * column + 8))
        without[place] = base[place]
        worth[row, column] = PAIR.score - score(without)
    found = faithfulness(PAIR, worth, steps=8, random_orders=5).summary()
    assert found["deletion_gain"] > 0  # type: ignore[operator]
    assert found["random_orders"] == 5
    assert found == faithfulness(PAIR, worth, steps=8, random_orders=5).summary()


def test_random_orders_by_hand() -> None:
    rng = np.random.default_rng(3)
    maps = [rng.random((4, 4)) for _ in range(2)]
    expected = [perturbation_curves(PAIR, m, steps=4).deletion_area for m in maps]
    assert random_areas(PAIR, steps=4, orders=2, seed=3) == pytest.approx(expected, abs=1e-7)


def test_random_weights_change_blocks_alone() -> None:
    twin = random_twin(BACKBONE, 0)
    own = dict(BACKBONE.model.named_parameters())
    changed = {n for n, p in twin.model.named_parameters() if not torch.equal(p, own[n])}
    assert changed
    assert all("resblocks" in name for name in changed)
    assert "visual.conv1.weight" not in changed
    (one,), (again,) = (
        randomised_weights(BACKBONE, IMAGE, "a cat", method="heads") for _ in range(2)
    )
    assert one == again
    assert abs(one) < 0.9


def test_colours_say_the_sign() -> None:
    scores = np.zeros((32, 32), np.float32)
    scores[:8], scores[-8:] = 1, -1
    drawn = draw_map(np.full((32, 32, 3), 128, np.uint8), scores).astype(int)
    assert drawn[2, 2, 0] > drawn[2, 2, 2] + 50
    assert drawn[-2, 2, 2] > drawn[-2, 2, 0] + 50
    assert (drawn[16, 16] == drawn[16, 16, 0]).all()
    bars = draw_words(["cat", "dog"], np.array([0.2, -0.1]), title="cat dog")
    for colour in (FOR, AGAINST):
        assert (bars == colour).all(-1).any()
    with pytest.raises(InputError, match="one size"):
        draw_map(IMAGE, scores[:4])
    with pytest.raises(InputError, match="one score a word"):
        draw_words([], np.array([]))


def test_words_are_put_together_from_tokens() -> None:
    sentence = read_sentence(BACKBONE, "Zxcvqwop's cat")
    assert sentence.words[-1] == "cat"
    assert "".join(sentence.words) == "zxcvqwop'scat"
    scores = np.ones(len(sentence.pieces), np.float32)
    assert sentence.by_word(scores).sum() == len(sentence.pieces) > len(sentence.words)
    assert set(sentence.by_word(scores, mean=True)) == {1.0}


def test_bad_input() -> None:
    plain = np.full((40, 40, 3), 7, np.uint8)
    for call, message in (
        (lambda: explain(BACKBONE, IMAGE, "  "), "no words to explain"),
        (lambda: explain(BACKBONE, IMAGE, "cat", against=[""]), "no words to explain"),
        (lambda: explain(BACKBONE, plain, "cat"), "one colour all over"),
        (lambda: explain(BACKBONE, IMAGE, "cat", method="headz"), "unknown explain method"),
        (lambda: perturbation_curves(PAIR, np.ones((3, 4))), "must fit the grid"),
        (lambda: perturbation_curves(PAIR, np.ones((4, 4)), steps=0), "1 or more steps"),
        (lambda: faithfulness(PAIR, np.ones((4, 4)), random_orders=0), "one random order"),
    ):
        with pytest.raises(InputError, match=message):
            call()


def test_other_text_towers_are_refused() -> None:
    model = tiny_backbone()
    model.model.text_pool_type = "first"
    with pytest.raises(InputError, match="causal text tower"):
        explain(model, IMAGE, "cat")
    half = tiny_backbone().to(torch.bfloat16)
    with pytest.raises(InputError, match="precision fp32"):
        explain(half, IMAGE, "cat")
    pooled = tiny_backbone()
    pooled.model.visual.pool_type = "avg"
    with pytest.raises(InputError, match="class token"):
        explain(pooled, IMAGE, "cat", method="heads")
