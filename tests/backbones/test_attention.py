"""Each last-block variant against a few independent lines on open_clip's own weights."""

import itertools
import math

import pytest
import torch
from torch import Tensor

from dense.backbones import LastBlock, attention, last_block
from dense.backbones.attention import (
    ATTENTIONS,
    TokenLayout,
    affinity,
    attention_sum,
    gaussian_window,
)
from dense.errors import InputError
from tests.backbones.builders import images, tiny_vit
from tests.backbones.by_hand import before_last, by_hand, softmax_mix

GRID = (4, 5)
PATCHES = GRID[0] * GRID[1]


def naclip_bias(std: float = 5.0) -> Tensor:
    bias = torch.zeros(1 + PATCHES, 1 + PATCHES)
    for n, m in itertools.product(range(PATCHES), repeat=2):
        (y, x), (j, i) = divmod(n, GRID[1]), divmod(m, GRID[1])
        bias[1 + n, 1 + m] = math.exp(-((y - j) ** 2 + (x - i) ** 2) / (2 * std**2))
    return bias


REFERENCE = {
    "plain": lambda q, k, v: softmax_mix(q, k, v),
    "value": lambda q, k, v: v,
    "qq": lambda q, k, v: softmax_mix(q, q, v),
    "kk": lambda q, k, v: softmax_mix(k, k, v),
    "vv": lambda q, k, v: softmax_mix(v, v, v),
    "qq+kk": lambda q, k, v: softmax_mix(q, q, v) + softmax_mix(k, k, v),
    "qq+kk+vv": lambda q, k, v: softmax_mix(q, q, v) + softmax_mix(k, k, v) + softmax_mix(v, v, v),
    "neighbourhood": lambda q, k, v: softmax_mix(k, k, v, naclip_bias()),
}


@pytest.mark.parametrize("forward", [True, False], ids=["ffn", "no-ffn"])
@pytest.mark.parametrize("residual", [True, False], ids=["residual", "no-residual"])
@pytest.mark.parametrize("name", sorted(ATTENTIONS))
def test_variant(name: str, residual: bool, forward: bool) -> None:
    model, vit = tiny_vit(ls_init_value=0.1)
    batch = images(GRID[0] * 8, GRID[1] * 8)
    with torch.inference_mode():
        features = vit(batch, last_block(name, residual=residual, feed_forward=forward))
        x = before_last(model.visual, vit, batch)
        expected = by_hand(model.visual, x, REFERENCE[name], residual, forward)
        assert expected.std() > 0.1
        got = features.dense.flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
        torch.testing.assert_close(features.class_token, vit(batch).class_token, atol=1e-5, rtol=0)


@pytest.mark.parametrize("gradients", [False, True], ids=["inference", "gradients"])
def test_sum_of_attentions(gradients: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """By hand, whichever kernel runs, and cut into rows."""
    monkeypatch.setattr(attention, "ROWS", 7)
    q, k, p, v = (torch.randn(2, 20, 3, 8).transpose(1, 2) for _ in range(4))  # as heads are split
    expected = softmax_mix(q, k, v) + softmax_mix(p, p, v)
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(attention_sum([(q, k), (p, p)], v), expected)
        sharp = attention_sum([(q, k)], v, scale=1.0)
    torch.testing.assert_close(sharp, softmax_mix(q * 8**0.5, k, v))


def test_every_variant_has_a_reference() -> None:
    assert set(REFERENCE) == set(ATTENTIONS)


def test_maskclip_is_value_then_output_projection() -> None:
    """Zhou et al. 2022: two 1 × 1 convolutions, V then out, in place of the last attention."""
    model, vit = tiny_vit()
    batch = images(32, 40)
    block = model.visual.transformer.resblocks[-1]
    width = model.visual.conv1.out_channels
    with torch.inference_mode():
        x = before_last(model.visual, vit, batch)
        value = block.ln_1(x) @ block.attn.in_proj_weight[2 * width :].T
        value = value + block.attn.in_proj_bias[2 * width :]
        out = (model.visual.ln_post(block.attn.out_proj(value)) @ model.visual.proj)[:, 1:]
        got = vit(batch, last_block("value", residual=False, feed_forward=False)).dense
        torch.testing.assert_close(got.flatten(2).transpose(1, 2), out, atol=1e-5, rtol=0)


def test_outside_affinity() -> None:
    model, vit = tiny_vit()
    batch = images(GRID[0] * 8, GRID[1] * 8)
    weights = torch.rand(2, PATCHES, PATCHES).softmax(-1)

    def mix(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        rows = [torch.cat([v[b, :, :1], weights[b] @ v[b, :, 1:]], dim=1) for b in range(2)]
        return torch.stack(rows)

    block = LastBlock(lambda q, k, v, layout: affinity(q, k, v, layout, weights=weights))
    with torch.inference_mode():
        x = before_last(model.visual, vit, batch)
        expected = by_hand(model.visual, x, mix, True, True)
        got = vit(batch, block).dense.flatten(2).transpose(1, 2)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_identity_affinity_is_the_value_path() -> None:
    v = torch.randn(1, 2, 1 + PATCHES, 8)
    layout = TokenLayout(1, GRID)
    mixed = affinity(v, v, v, layout, weights=torch.eye(PATCHES)[None])
    torch.testing.assert_close(mixed, v)


def test_affinity_of_another_grid_is_refused() -> None:
    v = torch.randn(1, 2, 1 + PATCHES, 8)
    with pytest.raises(InputError, match=r"expected 20 patches, got \(1, 9, 9\)"):
        affinity(v, v, v, TokenLayout(1, GRID), weights=torch.eye(9)[None])


def test_gaussian_window_by_hand() -> None:
    window = gaussian_window((2, 3), std=1.0)
    assert window.shape == (6, 6)
    torch.testing.assert_close(window.diagonal(), torch.ones(6))
    assert window[0, 1].item() == pytest.approx(math.exp(-0.5))
    assert window[0, 3].item() == pytest.approx(math.exp(-0.5))
    assert window[0, 5].item() == pytest.approx(math.exp(-2.5))
    torch.testing.assert_close(window, window.T)


def test_unknown_variant_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"unknown attention variant 'qqkk'.*qq\+kk"):
        last_block("qqkk")
