"""Dense forward of a CLIP Vision Transformer.

`DenseViT` is the only place where tokens run through blocks: the whole image, with any attention
in the last block (`forward`), the pooled feature alone (`encode_image`), or many small windows of
the same image by token dropping (`encode_windows`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dense.backbones.attention import AS_TRAINED, LastBlock, TokenLayout, plain
from dense.backbones.blocks import Block, attend, run_block, run_class_query
from dense.backbones.towers import as_tower, grid_of
from dense.errors import InputError
from dense.structures import DenseFeatures, Size

WINDOW_TOKENS = 1280
"""Tokens that run through a block at once in `encode_windows`: small enough for the caches."""


class DenseViT(nn.Module):
    """An open_clip image tower as an extractor of patch features.

    Args:
        visual: `open_clip` VisionTransformer or TimmModel holding a timm VisionTransformer.
    """

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.tower = as_tower(visual)
        self.grad_checkpointing = False

    @property
    def patch_size(self) -> Size:
        """(height, width) of a patch in input pixels."""
        return self.tower.patch_size

    @property
    def image_size(self) -> Size:
        """(h, w) the tower was trained at."""
        return self.tower.image_size

    @property
    def joint_dim(self) -> int:
        """D, the width of the joint image-text space."""
        return self.tower.joint_dim

    @property
    def num_blocks(self) -> int:
        """Number of transformer blocks."""
        return len(self.tower.blocks)

    def forward(
        self, images: Tensor, last: LastBlock = AS_TRAINED, *, intermediates: Sequence[int] = ()
    ) -> DenseFeatures:
        """Patch features of a batch.

        Args:
            images: (B, 3, h, w) preprocessed; sides are multiples of the patch, any aspect ratio.
            last: How the last block makes the dense features; as trained by default. The
                class token always comes from the block as trained.
            intermediates: Block outputs to keep, 0-based; negative numbers count from the end.

        Raises:
            InputError: If the size does not fit the patch or an intermediate does not exist.
        """
        keep = self._resolve(intermediates)
        layout = TokenLayout(self.tower.prefix, grid_of(images, self.patch_size))
        x = self.tower.embed(images)
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.tower.blocks[:-1]):
            x = self._run(block, x)
            if index in keep:
                kept[index] = x
        whole, patches = self._last_block(x, last, layout)
        kept[self.num_blocks - 1] = torch.cat([whole[:, : layout.prefix], patches], dim=1)
        return DenseFeatures(
            class_token=self.tower.pool(whole),
            patch_tokens=patches,
            dense=_as_grid(self.tower.project(patches), layout.grid),
            intermediates=tuple(
                _as_grid(kept[index][:, layout.prefix :], layout.grid) for index in keep
            ),
        )

    def encode_image(self, images: Tensor) -> Tensor:
        """Image features (B, D) in the joint space, not normalised. images (B, 3, h, w)."""
        x = self.tower.embed(images)
        for block in self.tower.blocks[:-1]:
            x = self._run(block, x)
        return self.tower.pool(self._final(x))

    def encode_windows(self, images: Tensor, windows: Sequence[Tensor]) -> list[Tensor]:
        """Image features of many windows of each image, by token dropping.

        After embedding and positions, a window keeps the class token and its own patches and runs
        through all blocks alone (WinCLIP, Jeong et al. 2023, section 4.2). Exact, with two
        savings: the first block's projections are computed once for all windows, and the last
        block computes only what the pooled feature reads.

        Args:
            images: (B, 3, h, w) preprocessed.
            windows: One (W, n) int64 tensor of patch indices a scale, row-major in the grid.

        Returns:
            One (B, W, D) tensor a scale, not normalised.
        """
        grid = grid_of(images, self.patch_size)
        tokens = self.tower.embed(images)
        heads = self.tower.blocks[0].qkv(tokens)
        return [self._encode_scale(tokens, heads, index, grid) for index in windows]

    def normalise_patches(self, patch_tokens: Tensor) -> Tensor:
        """Patch tokens (B, N, C) after the tower's final layer norm."""
        return self.tower.norm(patch_tokens)

    def _encode_scale(
        self, tokens: Tensor, heads: tuple[Tensor, Tensor, Tensor], windows: Tensor, grid: Size
    ) -> Tensor:
        if windows.numel() and int(windows.max()) >= grid[0] * grid[1]:
            raise InputError(
                f"window indices must be below {grid[0] * grid[1]} for a grid of {grid}, got "
                f"{int(windows.max())}"
            )
        prefix = torch.arange(self.tower.prefix, device=windows.device)
        index = torch.cat([prefix.expand(len(windows), -1), windows + self.tower.prefix], dim=1)
        chunk = max(1, WINDOW_TOKENS // (index.shape[1] * len(tokens)))
        parts = [self._encode_chunk(tokens, heads, rows) for rows in index.split(chunk)]
        return torch.cat(parts, dim=1)

    def _encode_chunk(
        self, tokens: Tensor, heads: tuple[Tensor, Tensor, Tensor], index: Tensor
    ) -> Tensor:
        """(B, T, C) tokens and first-block heads, (W, t) indices → (B, W, D)."""
        batch, count = len(tokens), len(index)
        first, *middle = self.tower.blocks
        q, k, v = (h[:, :, index].transpose(1, 2).flatten(0, 1) for h in heads)
        x = tokens[:, index].flatten(0, 1)
        if middle:
            x = x + first.attention_branch(attend(q, k, v))
            x = x + first.feed_forward(x)
            for block in middle[:-1]:
                x = run_block(block, x)
            x = self._final(x)
        else:
            x = run_block(first, x)
        return self.tower.pool(x).view(batch, count, -1)

    def _final(self, x: Tensor) -> Tensor:
        """Last block as far as pooling needs it."""
        block = self.tower.blocks[-1]
        if self._pools_class_token:
            return run_class_query(block, x, self.tower.prefix)
        return self._run(block, x)

    @property
    def _pools_class_token(self) -> bool:
        visual = self.tower.visual
        return getattr(visual, "pool_type", None) == "tok"

    def _last_block(self, x: Tensor, last: LastBlock, layout: TokenLayout) -> tuple[Tensor, Tensor]:
        """Tokens for pooling, (B, ·, C), and patch tokens (B, N, C) after the chosen variant."""
        block = self.tower.blocks[-1]
        if last == AS_TRAINED:
            whole = self._run(block, x)
            return whole, whole[:, layout.prefix :]
        q, k, v = block.qkv(x)
        dense = block.attention_branch(last.attention(q, k, v, layout))[:, layout.prefix :]
        if last.residual:
            dense = dense + x[:, layout.prefix :]
        if last.feed_forward:
            dense = dense + block.feed_forward(dense)
        rows = layout.prefix if self._pools_class_token else x.shape[1]
        whole = x[:, :rows] + block.attention_branch(plain(q[:, :, :rows], k, v, layout))
        return whole + block.feed_forward(whole), dense

    def _run(self, block: Block, x: Tensor) -> Tensor:
        if self.grad_checkpointing and torch.is_grad_enabled():
            return checkpoint(run_block, block, x, use_reentrant=False)
        return run_block(block, x)

    def _resolve(self, indices: Sequence[int]) -> list[int]:
        resolved = [i + self.num_blocks if i < 0 else i for i in indices]
        for asked, index in zip(indices, resolved, strict=True):
            if not 0 <= index < self.num_blocks:
                raise InputError(
                    f"block {asked} does not exist: this tower has blocks 0 to "
                    f"{self.num_blocks - 1}"
                )
        return resolved


def _as_grid(tokens: Tensor, grid: Size) -> Tensor:
    """(B, N, C) → (B, C, gh, gw)."""
    return tokens.transpose(1, 2).unflatten(2, grid)
