"""The ends of an image tower: how tokens are made, pooled and projected into the joint space.

`OpenClipTower` and `TimmTower` give the two families that open_clip builds the same few verbs;
`dense.backbones.vit` puts the blocks in between. This is the only place where patch tokens are
projected into the joint image-text space.
"""

from __future__ import annotations

from typing import Protocol

import torch
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer as OpenClipViT
from timm.models.vision_transformer import VisionTransformer as TimmViT
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones.blocks import Block, as_block
from dense.backbones.linear import linear
from dense.errors import InputError
from dense.structures import Size


def resize_positions(positions: Tensor, old: Size, new: Size) -> Tensor:
    """Resample a table of patch positions to another grid.

    Bicubic with antialiasing in fp32, as open_clip and timm resize checkpoints; the identity when
    the grids are equal. positions (N, C), row-major → (N', C).
    """
    if old == new:
        return positions
    table = positions.float().reshape(1, *old, -1).permute(0, 3, 1, 2)
    table = F.interpolate(table, new, mode="bicubic", align_corners=False, antialias=True)
    return table.permute(0, 2, 3, 1).reshape(new[0] * new[1], -1).to(positions.dtype)


def grid_of(images: Tensor, patch: Size) -> Size:
    """(gh, gw) of a batch (B, 3, h, w).

    Raises:
        InputError: If a side is not a positive multiple of the patch.
    """
    h, w = images.shape[-2:]
    if h < patch[0] or w < patch[1] or h % patch[0] or w % patch[1]:
        raise InputError(
            f"input size must be a multiple of the patch {patch}, got {(h, w)}; resize with "
            "dense.images.Preprocess"
        )
    return h // patch[0], w // patch[1]


class Tower(Protocol):
    """The ends of an image tower. Tokens are (B, prefix + N, C), patches row-major."""

    blocks: list[Block]
    patch_size: Size
    image_size: Size
    prefix: int
    width: int
    joint_dim: int

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, h, w) → tokens that enter the first block."""

    def pool(self, tokens: Tensor) -> Tensor:
        """Tokens of the last block → image features (B, D), not normalised."""

    def norm(self, patch_tokens: Tensor) -> Tensor:
        """The final layer norm of patch tokens (B, N, C), before any projection."""

    def project(self, patch_tokens: Tensor) -> Tensor:
        """Patch tokens (B, N, C) → dense features (B, N, D), not normalised."""


class OpenClipTower(nn.Module):
    """open_clip's own VisionTransformer."""

    def __init__(self, visual: OpenClipViT) -> None:
        super().__init__()
        if visual.attn_pool is not None:
            raise InputError(
                "vision towers with open_clip's attentional pooling (CoCa) are not supported; "
                "choose a ViT that pools by class token or average"
            )
        self.visual = visual
        self.blocks = [as_block(block) for block in visual.transformer.resblocks]
        self.patch_size: Size = tuple(visual.patch_size)
        self.image_size: Size = tuple(visual.image_size)
        self.prefix = 1
        self.width: int = visual.conv1.out_channels
        self.joint_dim: int = visual.output_dim

    def embed(self, images: Tensor) -> Tensor:
        visual = self.visual
        grid = grid_of(images, self.patch_size)
        x = visual.conv1(images).flatten(2).transpose(1, 2)
        table = visual.positional_embedding.to(x.dtype)
        patches = resize_positions(table[1:], tuple(visual.grid_size), grid)
        head = (visual.class_embedding.to(x.dtype) + table[0]).expand(len(x), 1, -1)
        return visual.ln_pre(torch.cat([head, x + patches], dim=1))

    def pool(self, tokens: Tensor) -> Tensor:
        visual = self.visual
        if visual.final_ln_after_pool:
            return visual.ln_post(visual._global_pool(tokens)[0]) @ visual.proj
        if visual.pool_type == "tok":
            return visual.ln_post(tokens[:, 0]) @ visual.proj
        return visual._global_pool(visual.ln_post(tokens))[0] @ visual.proj

    def norm(self, patch_tokens: Tensor) -> Tensor:
        return self.visual.ln_post(patch_tokens)

    def project(self, patch_tokens: Tensor) -> Tensor:
        return linear(self.norm(patch_tokens), self.visual.proj.T)


class TimmTower(nn.Module):
    """A timm VisionTransformer inside open_clip (SigLIP and relatives)."""

    def __init__(self, visual: TimmModel) -> None:
        super().__init__()
        trunk = visual.trunk
        if not isinstance(trunk, TimmViT):
            raise InputError(
                f"vision tower {type(trunk).__name__} is not a Vision Transformer; choose a ViT"
            )
        self.visual = visual
        self.blocks = [as_block(block) for block in trunk.blocks]
        self.patch_size: Size = tuple(trunk.patch_embed.patch_size)
        self.image_size: Size = tuple(trunk.patch_embed.img_size)
        self.prefix: int = trunk.num_prefix_tokens
        self.width: int = trunk.embed_dim
        self.joint_dim: int = self._head(torch.zeros(1, 1, self.width)).shape[-1]

    def embed(self, images: Tensor) -> Tensor:
        trunk = self.visual.trunk
        grid = grid_of(images, self.patch_size)
        x = trunk.patch_embed.proj(images).flatten(2).transpose(1, 2)
        x = trunk.patch_embed.norm(x)
        heads = [t for t in (trunk.cls_token, trunk.reg_token) if t is not None]
        head = torch.cat(heads, 1).to(x.dtype).expand(len(x), -1, -1) if heads else x[:, :0]
        table = trunk.pos_embed[0].to(x.dtype)
        placed = 0 if trunk.no_embed_class else self.prefix
        patches = resize_positions(table[placed:], trunk.patch_embed.grid_size, grid)
        if placed:
            head = head + table[:placed]
        return trunk.norm_pre(torch.cat([head, x + patches], dim=1))

    def pool(self, tokens: Tensor) -> Tensor:
        trunk = self.visual.trunk
        return self.visual.head(trunk.forward_head(trunk.norm(tokens)))

    def norm(self, patch_tokens: Tensor) -> Tensor:
        return self.visual.trunk.norm(patch_tokens)

    def project(self, patch_tokens: Tensor) -> Tensor:
        return self._head(self.norm(patch_tokens))

    def _head(self, tokens: Tensor) -> Tensor:
        """What pooling would give if it looked at one token only, for every token.

        With attention pooling (SigLIP) that is its value path: MaskCLIP's trick, moved from the
        last block to the pooling layer.
        """
        trunk = self.visual.trunk
        pool = trunk.attn_pool
        if pool is not None:
            width = pool.kv.out_features // 2
            bias = None if pool.kv.bias is None else pool.kv.bias[width:]
            tokens = pool.proj(linear(tokens, pool.kv.weight[width:], bias))
            if pool.mlp is not None:
                tokens = tokens + pool.mlp(pool.norm(tokens))
        return self.visual.head(trunk.head(trunk.fc_norm(tokens)))


def as_tower(visual: nn.Module) -> OpenClipTower | TimmTower:
    """View an open_clip image tower through the common verbs.

    Raises:
        InputError: If the tower is not a Vision Transformer.
    """
    if isinstance(visual, OpenClipViT):
        return OpenClipTower(visual)
    if isinstance(visual, TimmModel):
        return TimmTower(visual)
    raise InputError(
        f"image tower {type(visual).__name__} has no patch tokens; choose a Vision Transformer "
        "(ViT-*) checkpoint"
    )
