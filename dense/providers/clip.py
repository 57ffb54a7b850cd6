"""CLIP's own middle blocks: patches of one object agree there more than at the end."""

from __future__ import annotations

import torch

from dense.backbones.depth import blocks_of
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.providers.base import Provider, View

DEPTH = 0.75
"""Share of the blocks that have run: the ninth of twelve, whose patches SC-CLIP reads."""


class OwnBlocks(Provider):
    """The features that leave a middle block, and the projections of the block that reads them.

    The mean over the picture is subtracted from the features: CLIP's patches all carry some of the
    picture's meaning, and the cosine of any two would be high.
    """

    name = "clip"

    def look(self, vit: DenseViT, trace: Trace) -> View:
        """See the base class."""
        index = min(blocks_of(DEPTH, vit.num_blocks), vit.num_blocks - 1)
        patches, layout = trace.patches(index).float(), trace.layout
        centred = (patches - patches.mean(1, keepdim=True)).transpose(1, 2)
        q, k, v = vit.tower.blocks[index].qkv(trace.entering[index])
        inside = torch.arange(layout.prefix, q.shape[2], device=q.device)
        return View(centred.unflatten(2, layout.grid), q, k, v, inside)
