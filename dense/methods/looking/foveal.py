"""FALIP: attention of the class token leans towards a region.

Zhuang et al., ECCV 2024, arXiv:2407.05578.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, DenseViT
from dense.backbones.blocks import Block
from dense.backbones.depth import blocks_of
from dense.methods.batching import AT_ONCE, squashed
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    builder,
    require_class_token,
    require_number,
    unit,
)
from dense.structures import Size

EPSILON = 1e-6


@dataclass(frozen=True)
class FovealAttention(Looker):
    """A Gaussian over the region's patches, added to the class token's attention logits.

    The picture stays as it is. The blocks before the last third run once for all regions; those
    of the last third run for each, so R regions cost 1 + R / 3 passes (4 of 12 blocks).

    Where we differ: a region has the patches that its box touches; the authors' code also takes
    the patch before a border that coincides with the box's.

    Attributes:
        strength: Of the bias at the centre of the region; about 0 at its corners.
        std: Of the Gaussian, in patches: with 100, little more than a paraboloid.
        depth: Share of the blocks, from the last, that are steered.
    """

    name: ClassVar[str] = "falip"
    needs_regions: ClassVar[bool] = True
    strength: float = 0.2
    std: float = 100.0
    depth: float = 1 / 3

    def __post_init__(self) -> None:
        require_number("strength", self.strength, -100, 100)
        require_number("std", self.std, 1e-3)
        require_number("depth", self.depth, 1e-6, 1)

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        require_class_token(self.name, backbone)
        vit = backbone.vit
        (batch,) = squashed(backbone, [image])
        trace = vit.trace(batch)
        first = vit.num_blocks - blocks_of(self.depth, vit.num_blocks)
        size, grid = (image.shape[0], image.shape[1]), trace.layout.grid
        maps = [foveal_map(box, size, grid, self.std) for box in regions.boxes.tolist()]
        bias = self.strength * torch.from_numpy(np.stack(maps)).flatten(1)
        rows = []
        for some in bias.to(batch).split(AT_ONCE):
            x = trace.entering[first].expand(len(some), -1, -1)
            rows.append(steered(vit, x, some, first, trace.layout.prefix))
        return Views(unit(torch.cat(rows))[:, None])


def foveal_map(box: list[float], size: Size, grid: Size, std: float) -> NDArray[np.float32]:
    """What is added at strength 1 to the logits of each patch, (gh, gw) in [0, 1].

    Inside the patches that a box touches, a Gaussian around their middle, stretched so that its
    least value is about 0 and its largest 1; 0 elsewhere.

    Args:
        box: xyxy in pixels of the picture.
        size: (H, W) of the picture, which is squashed to the grid.
        grid: (gh, gw).
        std: In patches.
    """
    x0, y0, x1, y1 = box
    spans = []
    for low, high, length, count in ((y0, y1, size[0], grid[0]), (x0, x1, size[1], grid[1])):
        start = min(max(math.floor(low / length * count), 0), count - 1)
        spans.append((start, max(min(math.ceil(high / length * count), count), start + 1)))
    (top, low_row), (left, right) = spans
    ys, xs = np.arange(low_row - top), np.arange(right - left)
    squares = (ys - (len(ys) - 1) / 2)[:, None] ** 2 + (xs - (len(xs) - 1) / 2) ** 2
    bell = np.exp(-0.5 * squares / std**2)
    least, most = bell.min(), bell.max()
    found = np.zeros(grid, np.float32)
    found[top:low_row, left:right] = (bell - least + EPSILON) / (most - least + EPSILON)
    return found


def steered(vit: DenseViT, x: Tensor, bias: Tensor, first: int, prefix: int) -> Tensor:
    """Image features (R, D), not normalised, of blocks from `first` on with a bias.

    Args:
        vit: The tower.
        x: (R, T, C) tokens that enter block `first`.
        bias: (R, N) added to the class token's attention logits of the patches.
        first: 0-based.
        prefix: Tokens before the patches.
    """
    row = torch.cat([bias.new_zeros(len(bias), prefix), bias], 1)[:, None, None]
    for block in vit.tower.blocks[first:-1]:
        x = _biased_block(block, x, row)
    return vit.tower.pool(_class_row(vit.tower.blocks[-1], x, row))


def _biased_block(block: Block, x: Tensor, row: Tensor) -> Tensor:
    """A block whose class token attends with a bias (R, 1, 1, T), the others as trained."""
    q, k, v = block.qkv(x)
    first = F.scaled_dot_product_attention(q[:, :, :1], k, v, attn_mask=row)
    rest = F.scaled_dot_product_attention(q[:, :, 1:], k, v)
    x = x + block.attention_branch(torch.cat([first, rest], dim=2))
    return x + block.feed_forward(x)


def _class_row(block: Block, x: Tensor, row: Tensor) -> Tensor:
    """The same block for the class token alone, (R, 1, C): nobody reads the others."""
    q, k, v = block.qkv(x)
    attended = F.scaled_dot_product_attention(q[:, :, :1], k, v, attn_mask=row)
    x = x[:, :1] + block.attention_branch(attended)
    return x + block.feed_forward(x)


build = builder(FovealAttention)
