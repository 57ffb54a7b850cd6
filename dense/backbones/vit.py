"""Dense forward of a CLIP Vision Transformer.

`DenseViT` is the only place where tokens run through blocks: the whole image, with any attention
in the last block (`forward`), the pooled feature alone (`encode_image`), what enters each block
(`trace`, where methods that read or replace more than one block start), or many small windows of
the same image by token dropping (`encode_windows`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from dense.backbones.attention import AS_TRAINED, LastBlock, TokenLayout, by_content, plain
from dense.backbones.blocks import Block, Heads, run_block, run_class_query, run_patches
from dense.backbones.towers import as_tower, grid_of
from dense.backbones.trace import Trace
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

    @property
    def pools_class_token(self) -> bool:
        """Whether image features are read off the class token alone."""
        return getattr(self.tower.visual, "pool_type", None) == "tok"

    def forward(
        self,
        images: Tensor,
        last: LastBlock = AS_TRAINED,
        *,
        intermediates: Sequence[int] = (),
        keep: Tensor | None = None,
    ) -> DenseFeatures:
        """Patch features of a batch.

        Args:
            images: (B, 3, h, w) preprocessed; sides are multiples of the patch, any aspect ratio.
            last: How the last block makes the dense features; as trained by default. The
                class token always comes from the block as trained.
            intermediates: Block outputs to keep, 0-based; negative numbers count from the end.
            keep: (n,) int64 patches, row-major in the grid; the tokens of all others are dropped
                after embedding, nothing is computed for them and their features are 0.

        Raises:
            InputError: If the size does not fit the patch, an intermediate does not exist, or
                patches are dropped where the last block's attention depends on their places.
        """
        wanted = self._resolve(intermediates)
        layout = TokenLayout(self.tower.prefix, grid_of(images, self.patch_size))
        x = self.tower.embed(images)
        if keep is not None:
            if not by_content(last.attention):
                raise InputError("this attention of the last block needs all patches of a picture")
            x = x[:, _kept(keep[None], layout)[0]]
        kept: dict[int, Tensor] = {}
        for index, block in enumerate(self.tower.blocks[:-1]):
            x = self._run(block, x)
            if index in wanted:
                kept[index] = x
        whole, patches = self._last_block(x, last, layout)
        kept[self.num_blocks - 1] = torch.cat([whole[:, : layout.prefix], patches], dim=1)
        return DenseFeatures(
            class_token=self.tower.pool(whole),
            patch_tokens=_put_back(patches, keep, layout.grid),
            dense=_as_grid(_put_back(self.tower.project(patches), keep, layout.grid), layout.grid),
            intermediates=tuple(
                _as_grid(_put_back(kept[index][:, layout.prefix :], keep, layout.grid), layout.grid)
                for index in wanted
            ),
        )

    def trace(self, images: Tensor) -> Trace:
        """What enters each block, as trained; the last block is left to the method.

        Args:
            images: (B, 3, h, w) preprocessed; sides are multiples of the patch.

        Raises:
            InputError: If the size does not fit the patch.
        """
        layout = TokenLayout(self.tower.prefix, grid_of(images, self.patch_size))
        entering = [self.tower.embed(images)]
        for block in self.tower.blocks[:-1]:
            entering.append(self._run(block, entering[-1]))
        return Trace(tuple(entering), layout, images)

    def pool(self, trace: Trace) -> Tensor:
        """Image features (B, D) in the joint space of what was traced, not normalised."""
        return self.tower.pool(self._final(trace.entering[-1]))

    def project(self, patch_tokens: Tensor, grid: Size) -> Tensor:
        """Patch tokens (B, N, C) → dense features (B, D, gh, gw), not normalised."""
        return _as_grid(self.tower.project(patch_tokens), grid)

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
        layout = TokenLayout(self.tower.prefix, grid_of(images, self.patch_size))
        return self.pool_windows(Trace((self.tower.embed(images),), layout), windows)

    def pool_windows(
        self, trace: Trace, windows: Sequence[Tensor], *, first: int = 0
    ) -> list[Tensor]:
        """Image features of windows whose tokens are dropped before block `first`.

        With 0 this is `encode_windows`. Later blocks are an approximation: until then the tokens
        of a window have seen the whole image, and the blocks run once instead of for each window.

        Args:
            trace: The whole images.
            windows: One (W, n) int64 tensor of patch indices a scale, row-major in the grid.
            first: First block that runs for each window alone, 0-based.

        Returns:
            One (B, W, D) tensor a scale, not normalised.
        """
        tokens = trace.entering[first]
        heads = self.tower.blocks[first].qkv(tokens)
        return [
            self._pool_scale(tokens, heads, _kept(index, trace.layout), first) for index in windows
        ]

    def normalise_patches(self, patch_tokens: Tensor) -> Tensor:
        """Patch tokens (B, N, C) after the tower's final layer norm."""
        return self.tower.norm(patch_tokens)

    def _pool_scale(self, tokens: Tensor, heads: Heads, index: Tensor, first: int) -> Tensor:
        """(B, T, C) tokens and heads that enter block `first`, (W, t) indices → (B, W, D)."""
        chunk = max(1, WINDOW_TOKENS // (index.shape[1] * len(tokens)))
        parts = []
        for rows in index.split(chunk):
            q, k, v = (h[:, :, rows].transpose(1, 2).flatten(0, 1) for h in heads)
            x, kept = tokens[:, rows].flatten(0, 1), (q, k, v)
            parts.append(self._pool_chunk(x, kept, first).unflatten(0, (len(tokens), -1)))
        return torch.cat(parts, dim=1)

    def _pool_chunk(self, x: Tensor, heads: Heads, first: int) -> Tensor:
        """Windows (B * W, t, C) and their heads in block `first` → (B * W, D)."""
        given: Heads | None = heads
        for block in self.tower.blocks[first:-1]:
            x, given = run_block(block, x, heads=given), None
        return self.tower.pool(self._final(x, heads=given))

    def _final(self, x: Tensor, *, heads: Heads | None = None) -> Tensor:
        """Last block as far as pooling needs it."""
        block = self.tower.blocks[-1]
        if self.pools_class_token:
            return run_class_query(block, x, self.tower.prefix, heads=heads)
        return self._run(block, x) if heads is None else run_block(block, x, heads=heads)

    def _last_block(self, x: Tensor, last: LastBlock, layout: TokenLayout) -> tuple[Tensor, Tensor]:
        """Tokens for pooling, (B, ·, C), and patch tokens (B, N, C) after the chosen variant."""
        block = self.tower.blocks[-1]
        if last == AS_TRAINED:
            whole = self._run(block, x)
            return whole, whole[:, layout.prefix :]
        q, k, v = block.qkv(x)
        dense = run_patches(block, x, last, layout, heads=(q, k, v))
        rows = layout.prefix if self.pools_class_token else x.shape[1]
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


def _put_back(tokens: Tensor, keep: Tensor | None, grid: Size) -> Tensor:
    """(B, n, C) tokens of the kept patches → (B, N, C), 0 for the others."""
    if keep is None:
        return tokens
    whole = tokens.new_zeros(len(tokens), grid[0] * grid[1], tokens.shape[2])
    return whole.index_copy(1, keep, tokens)


def _kept(windows: Tensor, layout: TokenLayout) -> Tensor:
    """(W, n) patch indices → (W, prefix + n) token indices.

    Raises:
        InputError: If an index is outside the grid.
    """
    patches = layout.grid[0] * layout.grid[1]
    if windows.numel() and int(windows.max()) >= patches:
        raise InputError(
            f"window indices must be below {patches} for a grid of {layout.grid}, got "
            f"{int(windows.max())}"
        )
    prefix = torch.arange(layout.prefix, device=windows.device)
    return torch.cat([prefix.expand(len(windows), -1), windows + layout.prefix], dim=1)
