"""Each method against outside code, open_clip's layers, finite differences and its own sums."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError
from dense.explain.explain import explain, find_explainer
from dense.explain.gradient import GradientAttribution
from dense.explain.heads import HeadShares
from dense.explain.m2ib import M2IB
from dense.explain.pair import Pair, TextSide, make_pair
from dense.explain.second_order import SecondOrder
from tests.helpers import photo, tiny_backbone
from tests.reference.explain_inputs import AGAINST, SECOND_ORDER_POINTS, SENTENCE, picture

REFERENCE = json.loads((Path(__file__).parents[1] / "reference/explain_methods.json").read_text())
BACKBONE = tiny_backbone()


def pair(*against: str) -> Pair:
    """The pair of the reference: its tensor is given, not resized."""
    made = make_pair(BACKBONE, photo(32, 32), SENTENCE, against=against)
    with torch.no_grad():
        trace = BACKBONE.vit.trace(picture())
        feature = F.normalize(BACKBONE.vit.pool(trace)[0], dim=0)
    return Pair(BACKBONE, trace, feature, made.text, made.against, made.direction)


PAIR = pair()


def test_pair_is_open_clips_own_similarity() -> None:
    model: Any = BACKBONE.model
    with torch.no_grad():
        image = model.encode_image(picture(), normalize=True)[0]
        text = model.encode_text(BACKBONE.tokenizer([SENTENCE]), normalize=True)[0]
        other = model.encode_text(BACKBONE.tokenizer([AGAINST, "sky"]), normalize=True)
    assert PAIR.score == pytest.approx(float(image @ text), abs=1e-6)
    contrast = float(image @ (text - other.mean(0)))
    assert pair(AGAINST, "sky").score == pytest.approx(contrast, abs=1e-6)
    assert pair(AGAINST).cosine == pytest.approx(float(image @ text), abs=1e-6)


def test_information_is_the_authors() -> None:
    found = M2IB(layer=5).attribute(PAIR)
    expected = REFERENCE["information"]
    np.testing.assert_allclose(found.patches.flatten(), expected["image"], rtol=1e-4)
    np.testing.assert_allclose(found.tokens, expected["text"][1:-1], rtol=1e-4)
    assert found.parts["text information"] == pytest.approx(sum(expected["text"]), rel=1e-4)


def test_interactions_are_the_authors() -> None:
    found = SecondOrder(points=SECOND_ORDER_POINTS).attribute(PAIR)
    expected = np.array(REFERENCE["second_order"])
    assert found.interactions is not None
    np.testing.assert_allclose(found.interactions, expected[1:-1], atol=1e-6)
    np.testing.assert_allclose(found.patches, expected.sum(0), atol=1e-6)


def test_text_moves_are_finite_differences() -> None:
    """One point at the sentence itself: the Jacobian there, times the way from the reference."""
    moves = SecondOrder(points=1, block=-2).text_moves(PAIR, PAIR.text)
    x = PAIR.text.entering[0]
    ids = torch.zeros(1, x.shape[1], dtype=torch.int64)
    ids[0, 0], ids[0, 2] = PAIR.text.sentence.ids[0, 0], PAIR.text.sentence.ids[0, -1]
    model: Any = BACKBONE.model
    reference = model.token_embedding(ids) + model.positional_embedding[: x.shape[1]]
    step = 1e-3
    with torch.no_grad():
        length = PAIR.finish_text(x, 0).norm()
        for token in (1, 3, PAIR.text.end):
            way = torch.zeros_like(x)
            way[0, token] = (x - reference)[0, token]
            up, down = (PAIR.finish_text(x + sign * step * way, 0)[0] for sign in (1, -1))
            slope = (up - down) / (2 * step) / length
            torch.testing.assert_close(moves[token], slope, atol=2e-4, rtol=5e-3)


@pytest.mark.parametrize("block", [-1, -2])
def test_interactions_sum_to_the_change_of_the_score(block: int) -> None:
    """With ever more points: the integral is a one-sided sum, whose error falls as 1 / points."""
    rough, fine = (
        SecondOrder(points=count, block=block).attribute(PAIR).parts["explained"]
        for count in (25, 200)
    )
    model: Any = BACKBONE.model
    empty = torch.zeros(1, 77, dtype=torch.int64)
    empty[0, 0], empty[0, 2] = PAIR.text.sentence.ids[0, 0], PAIR.text.sentence.ids[0, -1]
    with torch.no_grad():
        image, blank = model.encode_image(torch.cat([picture(), 0 * picture()]))
        text = model.encode_text(BACKBONE.tokenizer([SENTENCE]))[0]
        # The reference is read at the sentence's own end: the path keeps the place that is pooled.
        states = (
            PAIR.text.entering[0] * 0
            + model.token_embedding(empty[:, : PAIR.text.end + 1])
            + model.positional_embedding[: PAIR.text.end + 1]
        )
        nothing = PAIR.finish_text(states, 0)[0]
        change = (text - nothing) @ (image - blank) / text.norm() / image.norm()
    assert fine == pytest.approx(float(change), rel=0.02)
    assert abs(fine - float(change)) < abs(rough - float(change)) / 6


def hooked(resblocks: Any, run: Any, score: Any) -> list[torch.Tensor]:
    """Attention times gradient of every block, from torch's own multi-head attention."""
    seen: list[torch.Tensor] = []

    def attention(module: Any, args: Any, kwargs: Any) -> tuple[torch.Tensor, None]:
        x, mask = args[0], kwargs.get("attn_mask")
        q, k, v = F.linear(x, module.in_proj_weight, module.in_proj_bias).chunk(3, -1)
        heads = [p.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for p in (q, k, v)]
        logits = heads[0] @ heads[1].transpose(2, 3) / heads[0].shape[-1] ** 0.5
        seen.append((logits if mask is None else logits + mask).softmax(-1))
        return module.out_proj((seen[-1] @ heads[2]).transpose(1, 2).flatten(2)), None

    originals = [block.attn.forward for block in resblocks]
    for block in resblocks:
        block.attn.forward = lambda *a, _m=block.attn, **k: attention(_m, a, k)
    gradients = torch.autograd.grad(score(run()), seen)
    for block, original in zip(resblocks, originals, strict=True):
        block.attn.forward = original
    return [(a * g)[0].mean(0).detach() for a, g in zip(seen, gradients, strict=True)]


def test_gradients_are_those_of_open_clips_attention() -> None:
    found = GradientAttribution(blocks=2).attribute(PAIR)
    model: Any = BACKBONE.model
    ids, end = BACKBONE.tokenizer([SENTENCE]), PAIR.text.end
    text = hooked(
        model.transformer.resblocks,
        lambda: model.encode_text(ids, normalize=True)[0],
        lambda f: f @ PAIR.image_feature,
    )
    image = hooked(
        model.visual.transformer.resblocks,
        lambda: model.encode_image(picture(), normalize=True)[0],
        lambda f: f @ PAIR.direction,
    )
    tokens = torch.stack(text).mean(0)[end, 1:end]
    patches = torch.stack(image[1:]).mean(0)[0, 1:]
    torch.testing.assert_close(found.tokens, tokens, atol=1e-7, rtol=1e-4)
    torch.testing.assert_close(found.patches.flatten(), patches, atol=1e-7, rtol=1e-4)


def test_f_clip_score_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    found = explain(BACKBONE, photo(), SENTENCE, method="gradient")
    negative = found.word_scores[found.word_scores < -5e-5].sum()
    cosine = max(found.score, 0)
    assert found.parts["clip_score"] == pytest.approx(2.5 * cosine)
    assert found.parts["f_clip_score"] == pytest.approx(float(negative) * (1 - cosine), abs=1e-8)
    assert found.words == ("a", "crooked", "shed", "near", "water")
    # The sum of nothing is no contradiction.
    calm = GradientAttribution(negative=-1e9).attribute(PAIR)
    assert calm.parts["f_clip_score"] == 0


def test_parts_sum_to_the_score() -> None:
    for some in (PAIR, pair(AGAINST)):
        found = HeadShares().attribute(some)
        assert sum(found.parts.values()) == pytest.approx(some.score, abs=1e-5)
        assert float(found.patches.sum()) == pytest.approx(found.parts["patches"], abs=1e-6)
        assert found.heads is not None
        attention = found.parts["patches"] + found.parts["class token"]
        assert float(found.heads.sum()) == pytest.approx(attention, abs=1e-5)


def test_a_share_is_what_leaving_a_head_out_takes() -> None:
    """The stream less one head, read with the spread of the whole: the score falls by its share."""
    found = HeadShares().attribute(PAIR)
    block, x = PAIR.image_blocks[-1], PAIR.trace.entering[-1]
    visual: Any = BACKBONE.model.visual
    module = visual.transformer.resblocks[-1]
    with torch.no_grad():
        q, k, v = block.qkv(x)
        attended = (q[:, :, :1] @ k.transpose(2, 3) / 4).softmax(-1) @ v
        attended[:, 0] = 0
        only = F.linear(attended.transpose(1, 2).flatten(2), module.attn.out_proj.weight)
        rest = only + module.attn.out_proj.bias
        whole = block.attention_branch((q[:, :, :1] @ k.transpose(2, 3) / 4).softmax(-1) @ v)
        taken = (whole - rest)[0, 0] + module.attn.out_proj.bias / 2  # the bias is dealt evenly
        stream = module(x)[0, 0]
        spread = (stream.var(correction=0) + visual.ln_post.eps).sqrt()
        share = (taken - taken.mean()) / spread * visual.ln_post.weight @ visual.proj
        share = share @ PAIR.direction / visual(picture())[0].norm()
    assert found.heads is not None
    assert float(found.heads[-1, 0]) == pytest.approx(float(share), abs=1e-6)


def test_text_shares_sum_to_the_score() -> None:
    """Tokens (ends included), feed-forward branches, start and bias of the text tower."""
    from dense.explain.heads import _shares, _text_reading

    with torch.no_grad():
        shares = _shares(
            PAIR.text_blocks, PAIR.text.entering[:-1], _text_reading(PAIR), PAIR.text.end
        )
    total = float(shares.tokens.sum()) + shares.feed_forward + shares.start + shares.bias
    assert total == pytest.approx(PAIR.cosine, abs=1e-5)


def test_against_moves_the_image_side_alone() -> None:
    for method in (GradientAttribution(), HeadShares(), SecondOrder(points=2), M2IB(beta=0)):
        plain, other = method.attribute(PAIR), method.attribute(pair(AGAINST))
        torch.testing.assert_close(plain.tokens, other.tokens)
        assert not torch.allclose(plain.patches, other.patches)


def test_against_is_a_difference_for_linear_methods() -> None:
    zebra = make_pair(BACKBONE, photo(32, 32), AGAINST)
    swapped = Pair(BACKBONE, PAIR.trace, PAIR.image_feature, zebra.text, (), zebra.text.feature)
    for method in (GradientAttribution(), HeadShares(), SecondOrder(points=3)):
        difference = method.attribute(PAIR).patches - method.attribute(swapped).patches
        torch.testing.assert_close(
            method.attribute(pair(AGAINST)).patches, difference, atol=1e-6, rtol=1e-4
        )


def test_noise_is_seeded() -> None:
    one, same, other = (M2IB(steps=3, seed=s).attribute(PAIR).patches for s in (0, 0, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("name", ["m2ib", "gradient", "second-order", "heads"])
def test_weights_get_no_gradients(name: str) -> None:
    find_explainer(name).attribute(PAIR)
    assert all(p.grad is None for p in BACKBONE.parameters())


def test_settings_that_cannot_be() -> None:
    for make, message in (
        (lambda: M2IB(steps=0), "m2ib needs a layer"),
        (lambda: M2IB(layer=12), "m2ib needs a layer"),
        (lambda: GradientAttribution(blocks=0), "1 or more blocks"),
        (lambda: SecondOrder(points=0), "1 or more points"),
        (lambda: SecondOrder(block=0), "counted from the end"),
        (lambda: SecondOrder(block=-9).attribute(PAIR), "block -9 does not exist"),
    ):
        with pytest.raises(InputError, match=message):
            make()


def test_end_is_where_the_sentence_ends() -> None:
    assert isinstance(PAIR.text, TextSide)
    assert PAIR.text.end == 6
