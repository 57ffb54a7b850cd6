"""Regions pooled from one pass over the whole picture: the cheapest look at many."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from dense.backbones import CLIPBackbone
from dense.methods.batching import dense_features
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Views,
    builder,
    require_number,
    unit,
)
from dense.regions import pool_boxes, pool_masks, to_patches


@dataclass(frozen=True)
class Pooled(Looker):
    """Dense features in each box by RoIAlign, or under each mask.

    The region protocol of CLIPSelf (Wu et al., ICLR 2024) and of `dense detect --boxes`, with the
    last block that the checkpoint recommends.

    Attributes:
        short_side: Input short side in pixels; the checkpoint's advice if ``None``.
    """

    name: ClassVar[str] = "pooled"
    short_side: int | None = None

    def __post_init__(self) -> None:
        if self.short_side is not None:
            require_number("short_side", self.short_side, 16, 4096, whole=True)

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        advice = backbone.recommended
        dense = dense_features(backbone, image, advice.block, self.short_side or advice.short_side)
        if regions.masks is not None:
            pooled = pool_masks(dense, torch.from_numpy(regions.masks).to(dense.device))
        else:
            size, grid = (image.shape[0], image.shape[1]), (dense.shape[1], dense.shape[2])
            boxes = to_patches(torch.from_numpy(regions.boxes), size, grid)
            pooled = pool_boxes(dense, boxes.to(dense.device))
        return Views(unit(pooled)[:, None])


build = builder(Pooled)
