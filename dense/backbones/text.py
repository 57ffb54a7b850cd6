"""Text side of a CLIP: prompts → features, without the work that nobody reads."""

from __future__ import annotations

from typing import Any

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.blocks import Block, as_block
from dense.backbones.linear import linear


def is_causal(model: nn.Module) -> bool:
    """Whether no token of the text tower sees a later one and the end of text is pooled."""
    return isinstance(model, CLIP) and model.text_pool_type == "argmax" and bool(_masked(model))


def encode_tokens(model: nn.Module, tokens: Tensor) -> Tensor:
    """Text features (P, D), not normalised. tokens (P, L) int64.

    In a causal tower what stands behind the last end-of-text of the batch is cut off: exact, and
    several times faster for short prompts. Other towers run as open_clip runs them.
    """
    if not is_causal(model):
        return model.encode_text(tokens)  # type: ignore[operator]
    end = tokens.argmax(dim=-1)
    x = embed_tokens(model, tokens[:, : int(end.max()) + 1])
    for block in text_blocks(model):
        heads = F.scaled_dot_product_attention(*block.qkv(x), is_causal=True)
        x = x + block.attention_branch(heads)
        x = x + block.feed_forward(x)
    return pool_tokens(model, x, end)


def text_blocks(model: Any) -> list[Block]:
    """The blocks of a causal text tower, see `is_causal`."""
    return [as_block(module) for module in model.transformer.resblocks]


def embed_tokens(model: Any, tokens: Tensor) -> Tensor:
    """(P, L) int64 → (P, L, C) that enter the first block of a causal text tower."""
    dtype = model.positional_embedding.dtype
    return model.token_embedding(tokens).to(dtype) + model.positional_embedding[: tokens.shape[1]]


def pool_tokens(model: Any, x: Tensor, end: Tensor) -> Tensor:
    """Tokens (P, L, C) of the last block and (P,) ends of text → features (P, D)."""
    return project_text(model, model.ln_final(x[torch.arange(len(x), device=x.device), end]))


def project_text(model: Any, x: Tensor) -> Tensor:
    """(..., C) after the final norm of a causal text tower → (..., D) in the joint space."""
    projection = model.text_projection
    if isinstance(projection, nn.Linear):
        return projection(x)
    return x if projection is None else linear(x, projection.T)


def _masked(model: Any) -> bool:
    return model.attn_mask is not None
