"""Features and scores against an independent computation.

Where a method is more than a few lines, that is the authors' own code, run once and stored (see
tests/reference); else its formula on open_clip's own weights.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import DenseViT, last_block
from dense.backbones.trace import Trace
from dense.methods.catalog import find_method
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentation.gem import GEM
from dense.methods.segmentation.resclip import ResCLIP, feedback_links
from dense.methods.segmentation.sc_clip import SCCLIP
from dense.methods.segmentation.surgery import CLIPSurgery
from dense.structures import TextClassifier
from tests.backbones.builders import images, tiny_vit
from tests.backbones.by_hand import Heads, before_last, by_hand, softmax_mix, split_heads
from tests.helpers import tiny_backbone
from tests.methods.segmentation.made import words
from tests.reference import segmentation_inputs as given
from tests.reference.stored import Stored

same = Stored("segmentation_methods.json").same
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture(scope="module")
def trace(vit: DenseViT) -> Trace:
    with torch.no_grad():
        return vit.trace(given.pictures())


def test_naclip(vit: DenseViT, trace: Trace) -> None:
    block = last_block("neighbourhood", residual=False, feed_forward=False)
    same("naclip", LastBlockMethod(block).dense(vit, trace))


def test_sc_clip(vit: DenseViT, trace: Trace) -> None:
    same("sc_clip", SCCLIP().dense(vit, trace))


def test_gem(vit: DenseViT, trace: Trace) -> None:
    same("gem", GEM().dense(vit, trace))
    same("gem_twice", GEM(iterations=2).dense(vit, trace))


def test_clip_surgery(vit: DenseViT, trace: Trace) -> None:
    classifier = TextClassifier(given.texts(), ("a", "b", "c", "d"))
    same("clip_surgery", CLIPSurgery().dense(vit, trace))
    same("clip_surgery_scores", CLIPSurgery().similarity(vit, trace, classifier))


def test_resclip(vit: DenseViT) -> None:
    method, trace = ResCLIP(), vit.trace(given.pictures()[:1])
    same("resclip_residual", method.dense(vit, trace))
    links = feedback_links(given.labels()[None], 5.0)
    same("resclip_links", links)
    read = method._read(vit, trace)
    same("resclip_feedback", method._pass(vit, trace, read, links))


def test_resclip_feeds_its_own_first_segmentation_back(vit: DenseViT) -> None:
    """Synonyms are one class; patches below 0.55 join class 0."""
    trace, method = vit.trace(given.pictures()), ResCLIP(feedback_below=0.55)
    queries = TextClassifier(given.texts(), ("a", "b", "c"), torch.tensor([0, 1, 1, 2]), 20.0)
    unit = F.normalize(method.dense(vit, trace), dim=1)
    share = (20 * torch.einsum("bdhw,pd->bphw", unit, given.texts())).softmax(1)
    share = torch.stack([share[:, 0], torch.maximum(share[:, 1], share[:, 2]), share[:, 3]], 1)
    labels = torch.where(share.amax(1) < 0.55, 0, share.argmax(1))
    assert (share.amax(1) < 0.55).any() and len(labels.unique()) > 1
    read = method._read(vit, trace)
    dense = F.normalize(method._pass(vit, trace, read, feedback_links(labels, 5.0)), dim=1)
    expected = torch.einsum("bdhw,pd->bphw", dense, given.texts())
    torch.testing.assert_close(method.similarity(vit, trace, queries), expected)


LAST_BLOCK: dict[str, tuple[Callable[..., Tensor], bool]] = {
    "clip": (lambda q, k, v: softmax_mix(q, k, v), True),
    "maskclip": (lambda q, k, v: v, True),
    "sclip": (lambda q, k, v: softmax_mix(q, q, v) + softmax_mix(k, k, v), True),
    "clearclip": (lambda q, k, v: softmax_mix(q, q, v), False),
}
"""Attention, and whether residual and feed-forward stay; NACLIP is compared with its own code."""


@pytest.mark.parametrize("name", LAST_BLOCK)
def test_names_of_the_catalogue_are_their_papers_formulas(name: str) -> None:
    model, vit = tiny_vit(ls_init_value=0.1)
    batch, (mix, whole) = images(32, 40), LAST_BLOCK[name]
    method = find_method(name, "segment").builder()(tiny_backbone(), words(3)).method
    expected = by_hand(model.visual, before_last(model.visual, vit, batch), mix, whole, whole)
    got = method.dense(vit, vit.trace(batch)).flatten(2).transpose(1, 2)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_refined_maskclip() -> None:
    """Section 3.4: classes sure nowhere are dropped; predictions are averaged by like keys."""
    model, vit = tiny_vit()
    batch, classifier = images(32, 40), words(4, logit_scale=9.0)
    x = before_last(model.visual, vit, batch)

    def value(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return v

    dense = F.normalize(by_hand(model.visual, x, value, True, True), dim=-1)
    logits = 9 * dense @ classifier.weights.T  # (B, N, K)
    best = logits.softmax(-1).amax(1)
    dropped = (best < 0.6) & (best < best.amax(1, keepdim=True))
    assert dropped.any(1).all() and not dropped.all(1).any()
    predicted = logits.masked_fill(dropped[:, None], -9.0).softmax(-1)
    block = model.visual.transformer.resblocks[-1]
    heads: Heads = split_heads(block.ln_1(x), block.attn)
    keys = F.normalize(heads[1].transpose(1, 2).flatten(2)[:, 1:], dim=-1)
    alike = (keys @ keys.transpose(1, 2)).clamp(min=0)
    expected = (alike / alike.sum(-1, keepdim=True)) @ predicted

    method = find_method("maskclip-refined", "segment").builder()(
        tiny_backbone(), classifier, prompt_denoising=0.6
    )
    got = method.method.similarity(vit, vit.trace(batch), classifier)
    got = (9 * got).softmax(1).flatten(2).transpose(1, 2)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
