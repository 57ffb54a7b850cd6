"""One view over the transformer blocks of open_clip and timm.

A dense method needs the queries, keys and values of a block, its output projection and its
feed-forward branch one by one; the libraries only offer the whole block. `Block` names these
parts once, with the library's own weights, so that every method is written a single time.
"""

from __future__ import annotations

from typing import Any, Protocol

import torch
from open_clip.transformer import CustomResidualAttentionBlock, QuickGELU, ResidualAttentionBlock
from timm.models.vision_transformer import Block as TimmBlock
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.attention import LastBlock, TokenLayout
from dense.backbones.linear import linear, linear_gelu
from dense.errors import InputError

Heads = tuple[Tensor, Tensor, Tensor]

SHORT_SEQUENCE = 32
"""Longest sequence that is attended by batched products; see `attend`."""


def _split(x: Tensor, heads: int) -> Tensor:
    """(B, T, heads * d) → (B, heads, T, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def _merge(x: Tensor) -> Tensor:
    """(B, heads, T, d) → (B, T, heads * d)."""
    return x.transpose(1, 2).flatten(2)


def _apply(layer: nn.Module, x: Tensor) -> Tensor:
    """Call a layer; plain linear layers take the faster route."""
    if isinstance(layer, nn.Linear) and type(layer).forward is nn.Linear.forward:
        return linear(x, layer.weight, layer.bias)
    return layer(x)


def _hidden(layer: nn.Module, activation: nn.Module, x: Tensor) -> Tensor:
    """First half of a feed-forward branch: linear, then activation."""
    exact_gelu = type(activation) is nn.GELU and activation.approximate == "none"
    if exact_gelu and type(layer) is nn.Linear:
        return linear_gelu(x, layer.weight, layer.bias)
    hidden = _apply(layer, x)
    if type(activation) is QuickGELU and not torch.is_grad_enabled():
        return hidden.mul_(torch.sigmoid(1.702 * hidden))
    return activation(hidden)


class Block(Protocol):
    """The parts of a pre-norm transformer block. x is (B, T, C)."""

    heads: int

    def normalise(self, x: Tensor) -> Tensor:
        """The layer norm before the attention. (B, T, C) → the same."""

    def qkv(self, x: Tensor) -> Heads:
        """Queries, keys and values of the normalised input, each (B, heads, T, d)."""

    def attention_branch(self, heads: Tensor) -> Tensor:
        """Output projection (and layer scale) of attended heads (B, heads, T, d) → (B, T, C)."""

    def normalise_hidden(self, x: Tensor) -> Tensor:
        """The layer norm before the feed-forward branch. (B, T, C) → the same."""

    def feed_forward(self, x: Tensor) -> Tensor:
        """The feed-forward branch, without its residual."""


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scaled dot-product attention, also fast for thousands of very short sequences.

    PyTorch's fused kernel spends microseconds on every (sequence, head) pair, which dominates when
    a sequence is one small window; batched products do not. Shapes (B, heads, T, d).
    """
    short = k.shape[-2] <= SHORT_SEQUENCE and len(k) > 1
    if not short or k.device.type != "cpu" or torch.is_grad_enabled():
        return F.scaled_dot_product_attention(q, k, v)
    batch, heads, _, width = q.shape
    queries, keys, values = (x.reshape(batch * heads, -1, width) for x in (q, k, v))
    none = queries.new_zeros(1, 1, 1)
    scores = torch.baddbmm(none, queries, keys.transpose(1, 2), beta=0, alpha=width**-0.5)
    return torch.bmm(scores.softmax(-1), values).view_as(q)


def run_block(block: Block, x: Tensor, *, heads: Heads | None = None) -> Tensor:
    """The whole block as trained. (B, T, C) → (B, T, C).

    `heads` are `block.qkv(x)`, if they are at hand.
    """
    attended = attend(*(block.qkv(x) if heads is None else heads))
    x = _plus(block.attention_branch(attended), x)
    return _plus(block.feed_forward(x), x)


def run_class_query(block: Block, x: Tensor, prefix: int, *, heads: Heads | None = None) -> Tensor:
    """The whole block for the first `prefix` tokens only, attending to all. → (B, prefix, C).

    Exact, and about a third of the arithmetic: queries, output projection and feed-forward are
    spared for the tokens whose output nobody reads. `heads` as in `run_block`.
    """
    q, k, v = block.qkv(x) if heads is None else heads
    x = _plus(block.attention_branch(attend(q[:, :, :prefix], k, v)), x[:, :prefix])
    return _plus(block.feed_forward(x), x)


def _plus(branch: Tensor, x: Tensor) -> Tensor:
    """A branch, which nobody else holds, plus its residual."""
    if torch.is_grad_enabled() or branch.dtype != x.dtype:  # autocast mixes precisions
        return branch + x
    return branch.add_(x)


def run_patches(
    block: Block, x: Tensor, last: LastBlock, layout: TokenLayout, *, heads: Heads | None = None
) -> Tensor:
    """The patches of a block whose attention is replaced. (B, T, C) → (B, N, C).

    Args:
        block: The block, usually the last.
        x: (B, T, C) tokens that enter it.
        last: The attention, and which branches stay.
        layout: Where the tokens stand.
        heads: `block.qkv(x)`, if it is at hand.
    """
    q, k, v = block.qkv(x) if heads is None else heads
    patches = block.attention_branch(last.attention(q, k, v, layout))[:, layout.prefix :]
    if last.residual:
        patches = patches + x[:, layout.prefix :]
    return patches + block.feed_forward(patches) if last.feed_forward else patches


class _OpenClipBlock:
    """`open_clip.transformer.ResidualAttentionBlock` (torch's own multi-head attention)."""

    def __init__(self, block: ResidualAttentionBlock) -> None:
        self.block: Any = block  # nn.Module hides the types of its parts
        self.heads: int = self.block.attn.num_heads

    def normalise(self, x: Tensor) -> Tensor:
        return self.block.ln_1(x)

    def qkv(self, x: Tensor) -> Heads:
        attn = self.block.attn
        packed = linear(self.normalise(x), attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = (_split(part, self.heads) for part in packed.chunk(3, dim=-1))
        return q, k, v

    def attention_branch(self, heads: Tensor) -> Tensor:
        return self.block.ls_1(_apply(self.block.attn.out_proj, _merge(heads)))

    def normalise_hidden(self, x: Tensor) -> Tensor:
        return self.block.ln_2(x)

    def feed_forward(self, x: Tensor) -> Tensor:
        mlp = self.block.mlp
        hidden = _hidden(mlp.c_fc, mlp.gelu, self.block.ln_2(x))
        return self.block.ls_2(_apply(mlp.c_proj, hidden))


class _OpenClipCustomBlock:
    """`open_clip.transformer.CustomResidualAttentionBlock` (norms inside the attention)."""

    def __init__(self, block: CustomResidualAttentionBlock) -> None:
        attn: Any = block.attn  # nn.Module hides the types of its parts
        if attn.logit_scale is not None or attn.head_scale is not None:
            raise InputError(
                "this checkpoint uses scaled-cosine or head-scaled attention, which has no dense "
                "form here; choose a vision tower with dot-product attention"
            )
        self.block: Any = block
        self.heads: int = attn.num_heads

    def normalise(self, x: Tensor) -> Tensor:
        return self.block.ln_1(x)

    def qkv(self, x: Tensor) -> Heads:
        attn = self.block.attn
        packed = linear(self.normalise(x), attn.in_proj_weight, attn.in_proj_bias)
        q, k, v = (_split(part, self.heads) for part in packed.chunk(3, dim=-1))
        return attn.ln_q(q), attn.ln_k(k), v

    def attention_branch(self, heads: Tensor) -> Tensor:
        attn = self.block.attn
        out = _apply(attn.out_proj, attn.ln_inner(_merge(heads)))
        return self.block.ls_1(self.block.ln_attn(out))

    def normalise_hidden(self, x: Tensor) -> Tensor:
        return self.block.ln_2(x)

    def feed_forward(self, x: Tensor) -> Tensor:
        mlp = self.block.mlp
        hidden = mlp.ln(_hidden(mlp.c_fc, mlp.gelu, self.block.ln_2(x)))
        return self.block.ls_2(_apply(mlp.c_proj, hidden))


class _TimmBlock:
    """`timm.models.vision_transformer.Block` (SigLIP and other timm towers in open_clip)."""

    def __init__(self, block: Any) -> None:
        self.block = block
        self.heads: int = self.block.attn.num_heads

    def normalise(self, x: Tensor) -> Tensor:
        return self.block.norm1(x)

    def qkv(self, x: Tensor) -> Heads:
        attn = self.block.attn
        packed = _apply(attn.qkv, self.normalise(x))
        q, k, v = (_split(part, self.heads) for part in packed.chunk(3, dim=-1))
        return attn.q_norm(q), attn.k_norm(k), v

    def attention_branch(self, heads: Tensor) -> Tensor:
        attn = self.block.attn
        return self.block.ls1(_apply(attn.proj, attn.norm(_merge(heads))))

    def normalise_hidden(self, x: Tensor) -> Tensor:
        return self.block.norm2(x)

    def feed_forward(self, x: Tensor) -> Tensor:
        mlp = self.block.mlp
        hidden = mlp.norm(_hidden(mlp.fc1, mlp.act, self.block.norm2(x)))
        return self.block.ls2(_apply(mlp.fc2, hidden))


def as_block(module: nn.Module) -> Block:
    """View a library's transformer block through the common parts.

    Raises:
        InputError: If the block is of a kind whose parts are not known.
    """
    if isinstance(module, ResidualAttentionBlock):
        return _OpenClipBlock(module)
    if isinstance(module, CustomResidualAttentionBlock):
        return _OpenClipCustomBlock(module)
    if isinstance(module, TimmBlock):
        return _TimmBlock(module)
    raise InputError(
        f"transformer block of type {type(module).__name__} is not supported; expected a plain "
        "Vision Transformer tower of open_clip or timm"
    )
