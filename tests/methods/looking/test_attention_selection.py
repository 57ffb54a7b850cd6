"""ABS: crops in feature space against the block itself, draws, votes and cost by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from dense.backbones.blocks import run_class_query
from dense.backbones.trace import Trace
from dense.classifier import build_text_classifier
from dense.errors import InputError
from dense.methods.looking.answers import classify
from dense.methods.looking.attention_selection import (
    AttentionSelection,
    class_attention,
    crop_tokens,
    patch_crops,
    picture_crops,
    soft_match,
)
from dense.methods.looking.base import Views, asked_regions
from dense.structures import TextClassifier
from tests.backbones.builders import build, tiny_config
from tests.helpers import photo, tiny_backbone

BACKBONE = tiny_backbone()


def traced(height: int = 32, width: int = 32) -> Trace:
    image = BACKBONE.preprocess.to_tensor(photo(height, width))[None]
    with torch.inference_mode():
        return BACKBONE.vit.trace(image)


@torch.inference_mode()
def test_a_crop_is_the_block_on_repeated_tokens() -> None:
    trace, vit = traced(), BACKBONE.vit
    crops = torch.tensor([[[0, 0, 2, 2], [1, 0, 3, 4], [2, 3, 4, 4]]])
    found = crop_tokens(vit, trace, crops)[0]
    x = trace.entering[-1]
    grid = x[:, 1:].unflatten(1, (4, 4))
    for feature, (x0, y0, x1, y1) in zip(found, crops[0].tolist(), strict=True):
        cut = grid[:, y0:y1, x0:x1].flatten(1, 2)
        repeated = cut.repeat(1, 16 // cut.shape[1], 1)
        tokens = torch.cat([x[:, :1], repeated], 1)
        expected = vit.tower.pool(run_class_query(vit.tower.blocks[-1], tokens, 1))[0]
        torch.testing.assert_close(feature, expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_the_crop_of_all_patches_is_the_picture() -> None:
    trace = traced()
    found = crop_tokens(BACKBONE.vit, trace, torch.tensor([[[0, 0, 4, 4]]]))
    torch.testing.assert_close(found[:, 0], BACKBONE.vit.pool(trace), atol=1e-5, rtol=0)
    assert crop_tokens(BACKBONE.vit, trace, torch.zeros(1, 0, 4, dtype=torch.long)).shape[1] == 0


@torch.inference_mode()
def test_attention_is_pytorchs() -> None:
    trace, block = traced(), BACKBONE.model.visual.transformer.resblocks[-1]
    x = block.ln_1(trace.entering[-1])
    attn = block.attn
    _, weights = torch.nn.functional.multi_head_attention_forward(
        *[x.transpose(0, 1)] * 3, 32, attn.num_heads, attn.in_proj_weight, attn.in_proj_bias,
        None, None, False, 0.0, attn.out_proj.weight, attn.out_proj.bias, training=False,
    )  # fmt: skip
    found = class_attention(BACKBONE.vit, trace)
    torch.testing.assert_close(found.flatten(1), weights[:, 0, 1:], atol=1e-6, rtol=0)


def test_crops_by_hand() -> None:
    centres, sides = np.array([0, 7]), np.array([[0.5, 0.75], [0.5, 0.5]])
    # a grid of 2 × 4: patch 0 is row 0 column 0, patch 7 row 1 column 3
    found = patch_crops(centres, sides, (2, 4))
    assert found.tolist() == [[0, 0, 2, 1], [2, 1, 4, 2]]
    pixels = picture_crops(centres, sides, (2, 4), (20, 80))
    # centres (10, 5) and (70, 15); half sides (30, 5) and (20, 5)
    assert pixels.tolist() == [[0, 0, 40, 10], [50, 10, 80, 20]]


def test_votes_by_hand() -> None:
    cosines = torch.tensor([[[0.3, 0.0], [0.1, 0.1]]])
    found = soft_match(cosines, 0.1)
    sure = np.exp(3) / (np.exp(3) + 1)
    np.testing.assert_allclose(found[0], [[3 * sure, 0], [0.5, 0.5]], rtol=1e-5)
    looker = AttentionSelection(temperature=0.1)
    words = TextClassifier(torch.eye(2), ("a", "b"))
    views = Views(cosines, torch.tensor([0.5, 0.5]))  # features whose cosines these are
    total = np.array([1.5 * sure + 0.25, 0.25])
    expected = np.exp(total) / np.exp(total).sum()
    np.testing.assert_allclose(looker.probabilities(views, words)[0], expected, rtol=1e-5)
    one = TextClassifier(torch.eye(2), ("a",), torch.tensor([0, 0]))
    np.testing.assert_allclose(looker.probabilities(views, one), [[1.0]])


def test_draws_are_the_seeds_and_follow_attention() -> None:
    attention = np.zeros((4, 4), np.float32)
    attention[2, 1] = 1.0
    looker = AttentionSelection(top=3, crops=5, feature_crops=40)
    centres, sides = looker._draw(attention)
    assert set(centres.tolist()) == {9} and len(centres) == 40
    assert (sides >= 0.6).all() and (sides <= 0.9).all()
    again, _ = looker._draw(attention)
    np.testing.assert_array_equal(centres, again)
    flat, _ = AttentionSelection(top=3, temperature=10.0)._draw(attention)
    assert set(flat.tolist()) == {0, 1, 9}  # equal attention keeps the order of the patches
    other = AttentionSelection(top=3, crops=5, feature_crops=40, seed=1)._draw(attention)[1]
    assert not np.isclose(other, sides).any()


def test_both_kinds_count_alike_whatever_their_number() -> None:
    regions = asked_regions((32, 48), np.array([[4, 4, 30, 30]]))
    with torch.inference_mode():
        views = AttentionSelection(crops=2, feature_crops=6).views(BACKBONE, photo(32, 48), regions)
    assert views.weights is not None and views.features.shape[:2] == (1, 8)
    np.testing.assert_allclose(views.weights, [1 / 12] * 6 + [1 / 4] * 2)


def test_a_region_is_a_picture_of_its_own() -> None:
    words = build_text_classifier(BACKBONE, ["cat", "dog"], templates="plain")
    image, looker = photo(48, 64), AttentionSelection(crops=3, margin=0.0)
    box = np.array([[8, 4, 40, 36]], np.float32)
    found = classify(BACKBONE, looker, image, words, asked_regions((48, 64), box))
    alone = classify(BACKBONE, looker, np.ascontiguousarray(image[4:36, 8:40]), words)
    np.testing.assert_allclose(found.probabilities, alone.probabilities, atol=1e-6)


def test_needs_a_class_token() -> None:
    backbone = tiny_backbone()
    backbone.vit.tower.visual = build(tiny_config(pool_type="avg")).visual
    with pytest.raises(InputError, match="abs works on the class token"):
        AttentionSelection().views(backbone, photo(32, 32), asked_regions((32, 32)))
