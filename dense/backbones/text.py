"""Text side of a CLIP: prompts → features, without the work that nobody reads."""

from __future__ import annotations

import torch
from open_clip.model import CLIP
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.blocks import as_block
from dense.backbones.linear import linear


def encode_tokens(model: nn.Module, tokens: Tensor) -> Tensor:
    """Text features (P, D), not normalised. tokens (P, L) int64.

    In a causal tower no token sees a later one, so what stands behind the last end-of-text of the
    batch is cut off: exact, and several times faster for short prompts. Other towers run as
    open_clip runs them.
    """
    if not isinstance(model, CLIP) or model.text_pool_type != "argmax" or model.attn_mask is None:
        return model.encode_text(tokens)  # type: ignore[operator]
    end = tokens.argmax(dim=-1)
    tokens = tokens[:, : int(end.max()) + 1]
    dtype = model.positional_embedding.dtype
    x = model.token_embedding(tokens).to(dtype) + model.positional_embedding[: tokens.shape[1]]
    for module in model.transformer.resblocks:
        block = as_block(module)
        heads = F.scaled_dot_product_attention(*block.qkv(x), is_causal=True)
        x = x + block.attention_branch(heads)
        x = x + block.feed_forward(x)
    x = model.ln_final(x[torch.arange(len(x), device=x.device), end])
    projection = model.text_projection
    if isinstance(projection, nn.Linear):
        return projection(x)
    return x if projection is None else linear(x, projection.T)
