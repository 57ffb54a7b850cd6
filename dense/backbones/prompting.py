"""Towers with learned tokens put among their own: deep text prompts and visual prompts.

The towers stay frozen; gradients flow through them into the tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from open_clip.model import CLIP, CustomTextCLIP
from open_clip.transformer import TextTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.blocks import Block, as_block, run_block
from dense.backbones.clip import Tokenizer
from dense.backbones.towers import grid_of
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.structures import Size


@dataclass(frozen=True)
class TextParts:
    """A text tower by its parts.

    Attributes:
        embedding: Token ids → (…, C).
        positions: (L, C).
        blocks: The transformer blocks.
        norm: Final layer norm.
        projection: C → D.
        causal: No token sees a later one.
        pool: ``"argmax"`` (the end-of-text token), ``"first"`` or ``"last"``.
    """

    embedding: nn.Embedding
    positions: Tensor
    blocks: list[Block]
    norm: nn.Module
    projection: nn.Linear | Tensor | None
    causal: bool
    pool: str

    @property
    def width(self) -> int:
        """C, the width of a token."""
        return self.embedding.embedding_dim


def text_parts(model: nn.Module) -> TextParts:
    """Take the text tower of an open_clip model apart.

    Raises:
        InputError: If it is not open_clip's own text transformer.
    """
    tower: Any = model if isinstance(model, CLIP) else getattr(model, "text", None)
    own = isinstance(model, CLIP) or (
        isinstance(model, CustomTextCLIP) and isinstance(tower, TextTransformer)
    )
    pool = getattr(tower, "text_pool_type", getattr(tower, "pool_type", None))
    if not own or pool not in ("argmax", "first", "last") or getattr(tower, "cls_emb", None):
        raise InputError(
            "learned prompts need open_clip's own text transformer, and this checkpoint has "
            f"{type(tower).__name__}; choose another checkpoint or a method without them"
        )
    return TextParts(
        embedding=tower.token_embedding,
        positions=tower.positional_embedding,
        blocks=[as_block(block) for block in tower.transformer.resblocks],
        norm=tower.ln_final,
        projection=tower.text_projection,
        causal=tower.attn_mask is not None,
        pool=pool,
    )


def with_places(tokenizer: Tokenizer, texts: Sequence[str], places: int) -> Tensor:
    """Token ids (P, L) with `places` empty ones behind the start token."""
    tokens = tokenizer(list(texts))
    gap = tokens.new_zeros(len(tokens), places)
    return torch.cat([tokens[:, :1], gap, tokens[:, 1 : tokens.shape[1] - places]], dim=1)


def encode_prompts(parts: TextParts, tokens: Tensor, inserted: Mapping[int, Tensor]) -> Tensor:
    """Text features (P, D), not normalised, of prompts with learned tokens.

    Args:
        parts: The tower.
        tokens: (P, L) ids on the tower's device.
        inserted: By block: (n, C) or (P, n, C) tokens that overwrite those behind the start token
            before the block runs. Those of block 0 stand in the place of word embeddings and get
            positions, others do not.
    """
    end = tokens.argmax(dim=-1)
    if parts.causal and parts.pool == "argmax":
        tokens = tokens[:, : int(end.max()) + 1]
    x = _overwritten(parts.embedding(tokens), inserted.get(0))
    x = x + parts.positions[: x.shape[1]].to(x.dtype)
    for index, block in enumerate(parts.blocks):
        if index:
            x = _overwritten(x, inserted.get(index))
        attended = F.scaled_dot_product_attention(*block.qkv(x), is_causal=parts.causal)
        x = x + block.attention_branch(attended)
        x = x + block.feed_forward(x)
    x = parts.norm(x)
    if parts.pool == "argmax":
        pooled = x[torch.arange(len(x), device=x.device), end]
    else:
        pooled = x[:, 0 if parts.pool == "first" else -1]
    if parts.projection is None:
        return pooled
    if isinstance(parts.projection, nn.Linear):
        return parts.projection(pooled)
    return pooled @ parts.projection


def _overwritten(x: Tensor, learned: Tensor | None) -> Tensor:
    """(P, L, C) with the tokens behind the first one replaced."""
    if learned is None:
        return x
    count = learned.shape[-2]
    block = learned.to(x.dtype).expand(len(x), -1, -1)
    return torch.cat([x[:, :1], block, x[:, 1 + count :]], dim=1)


@dataclass(frozen=True)
class PromptedTokens:
    """Output of a tower with visual prompts, the prompts removed.

    Attributes:
        pooled: (B, D) image features, not normalised.
        layers: Chosen block outputs, patches alone, each (B, N, C).
        grid: (gh, gw) of the patches.
    """

    pooled: Tensor
    layers: tuple[Tensor, ...]
    grid: Size


def run_prompted(
    vit: DenseViT, images: Tensor, prompts: Sequence[Tensor], layers: Sequence[int]
) -> PromptedTokens:
    """Run a tower with learned tokens behind its own.

    Args:
        vit: The tower.
        images: (B, 3, h, w) preprocessed.
        prompts: For each of the first blocks, (B, n, C) tokens: the first ones are appended, the
            next ones replace them; after the last the tokens stay what the blocks made of them.
        layers: Blocks whose outputs are kept, 0-based.
    """
    tower = vit.tower
    grid = grid_of(images, vit.patch_size)
    x = tower.embed(images)
    own = x.shape[1]
    kept: dict[int, Tensor] = {}
    for index, block in enumerate(tower.blocks):
        if index < len(prompts):
            x = torch.cat([x[:, :own], prompts[index].to(x.dtype)], dim=1)
        x = run_block(block, x)
        if index in layers:
            kept[index] = x[:, tower.prefix : own]
    return PromptedTokens(tower.pool(x[:, :own]), tuple(kept[i] for i in layers), grid)
