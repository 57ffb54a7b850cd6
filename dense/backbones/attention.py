"""Attention of the last block as pure functions: the choice that makes a dense method.

Each variant takes the queries, keys and values of one block, (B, heads, T, d) with the prefix
(class) tokens first, and returns the attended heads of the same shape. Which one is used, and
whether the residual and the feed-forward branch stay, is a `LastBlock`.

| variant | softmax over | paper |
|---|---|---|
| plain | q k | CLIP, Radford et al. 2021 |
| value | nothing: each patch keeps its own value | MaskCLIP, Zhou et al. 2022 |
| self-self | q q, k k, v v or their sum | CLIP Surgery, SCLIP, ClearCLIP |
| neighbourhood | k k plus a Gaussian around each patch | NACLIP, Hajimiri et al. 2025 |
| affinity | an outside (B, N, N) affinity | ProxyCLIP, Lan et al. 2024 |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.linear import linear, use_onednn
from dense.errors import InputError, unknown_name
from dense.structures import Size

ROWS = 1024
"""Queries whose weights are held at once in `attention_sum`."""

AttentionFn = Callable[[Tensor, Tensor, Tensor, "TokenLayout"], Tensor]


@dataclass(frozen=True)
class TokenLayout:
    """Where the tokens of a block stand: `prefix` class tokens, then `grid` patches, row-major."""

    prefix: int
    grid: Size


def plain(q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout) -> Tensor:
    """Scaled dot-product attention, as trained. Shapes (B, heads, T, d)."""
    return F.scaled_dot_product_attention(q, k, v)


def value(q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout) -> Tensor:
    """No mixing: every token keeps its own value (MaskCLIP, section 3.2)."""
    return v


def attention_sum(
    pairs: Sequence[tuple[Tensor, Tensor]], v: Tensor, *, scale: float | None = None
) -> Tensor:
    """Values mixed by the sum of several attentions: Σ softmax(scale · q kᵀ) v.

    The weights of a head are added up before the one product with its values. Through oneDNN that
    is quicker than PyTorch's fused kernel even for a single pair; elsewhere that kernel is used.

    Args:
        pairs: Queries and keys, each (B, heads, T, d).
        v: (B, heads, T, d) values.
        scale: d^-½ by default.

    Returns:
        (B, heads, T, d).
    """
    if not all(use_onednn(q, k) for q, k in pairs):
        each = [F.scaled_dot_product_attention(q, k, v, scale=scale) for q, k in pairs]
        return torch.stack(each).sum(0)
    scale = v.shape[-1] ** -0.5 if scale is None else scale
    # oneDNN is slow on strided matrices: every head in one piece.
    heads = [
        ((q * scale).contiguous().flatten(0, 1), k.contiguous().flatten(0, 1)) for q, k in pairs
    ]
    columns = v.transpose(-2, -1).contiguous().flatten(0, 1)
    out = torch.empty(*columns.shape[:1], v.shape[-2], v.shape[-1])
    for number, column in enumerate(columns):
        for start in range(0, v.shape[-2], ROWS):
            rows = slice(start, start + ROWS)
            weights = [linear(q[number, rows], k[number]).softmax(-1) for q, k in heads]
            out[number, rows] = linear(sum(weights[1:], weights[0]), column)
    return out.view_as(v)


def self_self(q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout, *, of: str = "q") -> Tensor:
    """Sum of the attentions of the named projections with themselves.

    Args:
        q: (B, heads, T, d) queries.
        k: (B, heads, T, d) keys.
        v: (B, heads, T, d) values.
        layout: Unused; part of the common signature.
        of: Letters among ``q``, ``k``, ``v``. SCLIP's correlative self-attention is ``"qk"``: the
            two soft-maxes are added, not averaged (SCLIP, equation 4); ClearCLIP is ``"q"``.
    """
    parts = {"q": q, "k": k, "v": v}
    return attention_sum([(parts[x], parts[x]) for x in of], v)


def gaussian_window(grid: Size, std: float, device: torch.device | str = "cpu") -> Tensor:
    """(N, N) unnormalised Gaussians, row n centred on patch n; `std` in patches."""
    ys, xs = (torch.arange(side, dtype=torch.float32, device=device) for side in grid)
    rows = torch.exp(-((ys[:, None] - ys[None]) ** 2) / (2 * std**2))
    cols = torch.exp(-((xs[:, None] - xs[None]) ** 2) / (2 * std**2))
    return torch.einsum("ab,cd->acbd", rows, cols).reshape(grid[0] * grid[1], -1)


def neighbourhood(
    q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout, *, std: float = 5.0
) -> Tensor:
    """Key-key attention with a Gaussian added to the logits around each patch (NACLIP, eq. 6).

    The class token's row and column get no bias.
    """
    tokens = k.shape[-2]
    bias = k.new_zeros(tokens, tokens)
    window = gaussian_window(layout.grid, std, k.device).to(k.dtype)
    bias[layout.prefix :, layout.prefix :] = window
    return F.scaled_dot_product_attention(k, k, v, attn_mask=bias)


def affinity(q: Tensor, k: Tensor, v: Tensor, layout: TokenLayout, *, weights: Tensor) -> Tensor:
    """Mix the values of the patches with an outside affinity, the same for every head.

    Args:
        q: Unused; part of the common signature.
        k: Unused.
        v: (B, heads, T, d) values.
        layout: Prefix tokens keep their own value.
        weights: (B, N, N) rows that sum to one.
    """
    patches = v[:, :, layout.prefix :]
    if weights.shape[-1] != patches.shape[-2]:
        raise InputError(
            f"affinity must cover the patch grid: expected {patches.shape[-2]} patches, got "
            f"{tuple(weights.shape)}; compute it on a grid of {layout.grid}"
        )
    mixed = torch.einsum("bnm,bhmd->bhnd", weights.to(v.dtype), patches)
    return torch.cat([v[:, :, : layout.prefix], mixed], dim=2)


ATTENTIONS: dict[str, AttentionFn] = {
    "plain": plain,
    "value": value,
    "qq": partial(self_self, of="q"),
    "kk": partial(self_self, of="k"),
    "vv": partial(self_self, of="v"),
    "qq+kk": partial(self_self, of="qk"),
    "qq+kk+vv": partial(self_self, of="qkv"),
    "neighbourhood": neighbourhood,
}


def by_content(attention: AttentionFn) -> bool:
    """Whether an attention compares tokens by what they hold alone, so that some may be dropped."""
    return getattr(attention, "func", attention) in (plain, value, self_self)


@dataclass(frozen=True)
class LastBlock:
    """How the last block makes dense features.

    Attributes:
        attention: One of the functions above, or any of the same signature.
        residual: Add the block's input to the attention branch.
        feed_forward: Apply the block's feed-forward branch (with its own residual).
    """

    attention: AttentionFn = plain
    residual: bool = True
    feed_forward: bool = True


AS_TRAINED = LastBlock()


def last_block(name: str, *, residual: bool = True, feed_forward: bool = True) -> LastBlock:
    """Build a `LastBlock` from the name of an attention variant.

    Raises:
        InputError: If the name is not in `ATTENTIONS`.
    """
    if name not in ATTENTIONS:
        raise unknown_name("attention variant", name, ATTENTIONS)
    return LastBlock(ATTENTIONS[name], residual, feed_forward)
