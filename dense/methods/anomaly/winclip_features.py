"""What WinCLIP reads of a picture: the whole, its windows at several scales, its patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.attention import AS_TRAINED
from dense.backbones.blocks import run_patches
from dense.backbones.trace import Trace
from dense.heads.memory import unit_rows
from dense.structures import Size


@dataclass(frozen=True)
class WindowFeatures:
    """A batch as WinCLIP sees it.

    Attributes:
        image: (B, D) the whole.
        windows: One (B, W, D) a scale.
        patches: (B, N, C) of the last block; ``None`` if nobody asked.
        grid: (gh, gw).
    """

    image: Tensor
    windows: tuple[Tensor, ...]
    patches: Tensor | None
    grid: Size

    def row(self, number: int) -> WindowFeatures:
        """One picture, as a batch of one."""
        keep = slice(number, number + 1)
        windows = tuple(window[keep] for window in self.windows)
        patches = None if self.patches is None else self.patches[keep]
        return WindowFeatures(self.image[keep], windows, patches, self.grid)


@dataclass(frozen=True)
class WindowMemory:
    """Unit features of normal images: patches (M, C), windows (M, D) a scale."""

    patches: Tensor
    windows: tuple[Tensor, ...]
    shots: int


def remember(parts: Sequence[WindowFeatures], shots: int) -> WindowMemory:
    """Batches of normal pictures → memory."""
    return WindowMemory(
        patches=torch.cat([unit_rows(p.patches) for p in parts if p.patches is not None]),
        windows=tuple(
            torch.cat([unit_rows(scale) for scale in scales])
            for scales in zip(*(part.windows for part in parts), strict=True)
        ),
        shots=shots,
    )


def extract(
    backbone: CLIPBackbone,
    images: Tensor,
    windows: Sequence[Tensor],
    *,
    window_blocks: int | None = None,
    patches: bool = True,
    normed_patches: bool = False,
) -> WindowFeatures:
    """Features of a batch.

    Args:
        backbone: A loaded CLIP.
        images: (B, 3, h, w) preprocessed.
        windows: One (W, n) int64 tensor of patch indices a scale.
        window_blocks: How many of the last blocks run for each window alone; ``None``: all.
        patches: Whether the patch tokens are wanted.
        normed_patches: Patch tokens after the tower's final layer norm.
    """
    vit = backbone.vit
    trace = vit.trace(images)
    chosen = [index.to(images.device) for index in windows]
    if window_blocks == 0:
        scales = _pooled_windows(backbone, trace, chosen)
    else:
        first = 0 if window_blocks is None else vit.num_blocks - window_blocks
        scales = vit.pool_windows(trace, chosen, first=first)
    tokens = None
    if patches:
        tokens = run_patches(vit.tower.blocks[-1], trace.entering[-1], AS_TRAINED, trace.layout)
        tokens = vit.normalise_patches(tokens) if normed_patches else tokens
    return WindowFeatures(vit.pool(trace), tuple(scales), tokens, trace.layout.grid)


def _pooled_windows(
    backbone: CLIPBackbone, trace: Trace, windows: Sequence[Tensor]
) -> list[Tensor]:
    """Mean of the unit dense features of each window's patches, (B, W, D) a scale.

    The dense features come from the last block that the checkpoint recommends.
    """
    vit, block = backbone.vit, backbone.recommended.block
    tokens = run_patches(vit.tower.blocks[-1], trace.entering[-1], block, trace.layout)
    unit = F.normalize(vit.tower.project(tokens), dim=-1)
    return [unit[:, index].mean(2) for index in windows]
