"""The last block in a few independent lines on open_clip's own weights."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Heads = tuple[Tensor, Tensor, Tensor]


def softmax_mix(a: Tensor, b: Tensor, v: Tensor, bias: float | Tensor = 0.0) -> Tensor:
    """softmax(a bᵀ / √d + bias) v for (B, heads, T, d)."""
    logits = torch.einsum("bhid,bhjd->bhij", a, b) / math.sqrt(a.shape[-1])
    return torch.einsum("bhij,bhjd->bhid", (logits + bias).softmax(-1), v)


def before_last(visual: nn.Module, vit: nn.Module, batch: Tensor) -> Tensor:
    """Tokens that enter the last block, through open_clip's own blocks."""
    x = vit.tower.embed(batch)
    for block in visual.transformer.resblocks[:-1]:
        x = block(x)
    return x


def split_heads(x: Tensor, attn: nn.MultiheadAttention) -> Heads:
    parts = (x @ attn.in_proj_weight.T + attn.in_proj_bias).chunk(3, -1)
    return tuple(p.unflatten(-1, (attn.num_heads, -1)).transpose(1, 2) for p in parts)


def by_hand(
    visual: nn.Module, x: Tensor, mix: Callable[..., Tensor], residual: bool, forward: bool
) -> Tensor:
    """Dense features of the last block, (B, T, D), straight from the module's weights."""
    block = visual.transformer.resblocks[-1]
    mixed = mix(*split_heads(block.ln_1(x), block.attn))
    out = block.ls_1(block.attn.out_proj(mixed.transpose(1, 2).flatten(2)))
    out = x + out if residual else out
    if forward:
        out = out + block.ls_2(block.mlp(block.ln_2(out)))
    return (visual.ln_post(out) @ visual.proj)[:, 1:]
