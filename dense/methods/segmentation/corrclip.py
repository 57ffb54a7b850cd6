"""CorrCLIP: patches attend inside their region alone; regions also have class tokens of their own.

Zhang et al., "CorrCLIP: Reconstructing Patch Correlations in CLIP for Open-Vocabulary Semantic
Segmentation", ICCV 2025, arXiv:2411.10086. What harms dense CLIP most is attention between
different classes; masks of another model rule it out. Hence it leads the training-free methods
where the masks are good; with superpixels it can only be as good as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.methods.segmentation.base import scaled_block
from dense.methods.segmentation.provided import ProvidedMethod, mixed_values, provided, tiled
from dense.providers import Regions, fitted
from dense.providers.base import cosine
from dense.providers.regions import OUTSIDE

SHARPNESS = 4.0
LOWER = range(5, 10)
"""Blocks, 0-based of 12, whose outputs make the spatial branch."""


@dataclass(frozen=True)
class CorrCLIP(ProvidedMethod):
    """CorrCLIP, first version (Zhang et al. 2025), without its last step, the vote of each mask.

    The vote is post-processing here: `refine=["vote"]`. Differences from the authors' code:
    regions are looked for in each window (theirs: in the picture, then cut), pixels of no region
    are marked as such (theirs takes the lowest mask number for them), and the blocks of the spatial
    branch scale with depth by one rule.

    Attributes:
        provider: Whose queries plus keys say what is alike; the paper's is DINO ViT-B/8.
        regions: Where masks come from; the paper's is SAM 2, here SAM or superpixels.
        merge: Regions join where their cosine is within this of the highest; 0 joins none.
        spatial: Weight of the lower blocks' features (α).
        semantic: Weight of the regions' class tokens (β).
    """

    name: ClassVar[str] = "corrclip"
    regions: Regions
    merge: float = 0.2
    spatial: float = 1.0
    semantic: float = 0.5

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features on the second network's grid. See the base class."""
        view = self.look(vit, trace)
        grid = tiled(view.grid, trace.layout.grid)
        alike = fitted(view.as_map(view.queries + view.keys), grid)
        labels = self._labels(trace, alike)
        weights = regional_attention(cosine(alike), labels.flatten(1))
        main = mixed_values(vit, trace.entering[-1], trace, weights, grid)
        dense = vit.project(main, grid)
        if self.spatial:
            last = vit.num_blocks - 1
            after = sorted({min(scaled_block(vit, block) + 1, last) for block in LOWER})
            lower = torch.stack([trace.entering[block] for block in after]).mean(0)
            tokens = mixed_values(vit, lower, trace, weights, grid)
            dense = dense + self.spatial * vit.project(tokens, grid)
        if self.semantic and trace.layout.prefix:
            dense = dense + self.semantic * self._region_tokens(vit, trace, labels)
        return dense

    def _labels(self, trace: Trace, alike: Tensor) -> Tensor:
        """Merged region of each patch, (B, gh', gw')."""
        rows = []
        for found, features in zip(self.regions.look(trace), alike, strict=True):
            fine = found[None, None].float()
            labels = F.interpolate(fine, alike.shape[-2:], mode="nearest")[0, 0].long()
            rows.append(merge_regions(labels, features, self.merge))
        return torch.stack(rows)

    def _region_tokens(self, vit: DenseViT, trace: Trace, labels: Tensor) -> Tensor:
        """Dense features (B, D, gh', gw') made of each region's own class token."""
        grid = trace.layout.grid
        coarse = F.interpolate(labels[:, None].float(), grid, mode="nearest").flatten(1).long()
        maps = []
        for index, regions in enumerate(coarse):
            names, place = regions.unique(return_inverse=True)
            masks = F.one_hot(place, len(names)).T.bool()
            tokens = region_class_tokens(vit, trace, index, masks)
            back = F.interpolate(
                place.view(1, 1, *grid).float(), labels.shape[-2:], mode="nearest"
            ).flatten()
            maps.append(tokens[back.long()])
        return vit.project(torch.stack(maps), (labels.shape[1], labels.shape[2]))


def merge_regions(labels: Tensor, features: Tensor, within: float) -> Tensor:
    """Join regions whose mean features agree (DBSCAN without noise: connected components).

    Args:
        labels: (gh, gw) int64, `OUTSIDE` for no region.
        features: (C, gh, gw).
        within: Cosine distance below the highest cosine at which two regions are linked.

    Returns:
        (gh, gw) int64.
    """
    names, place = labels.unique(return_inverse=True)
    inside = names != OUTSIDE
    if within <= 0 or int(inside.sum()) < 2:
        return labels
    unit = F.normalize(features.float().flatten(1).T, dim=1)
    member = F.one_hot(place.flatten(), len(names)).float()
    means = F.normalize(member.T @ unit, dim=1)[inside]  # sums have the means' direction
    alike = means @ means.T
    linked = (alike.max() - alike) <= within
    _, cluster = connected_components(linked.cpu().numpy(), directed=False)
    new = torch.full_like(names, OUTSIDE)
    new[inside] = torch.from_numpy(cluster).to(new)
    return new[place]


def regional_attention(similarity: Tensor, labels: Tensor) -> Tensor:
    """Soft-max of the similarity inside regions (equations 6 and 7).

    Patches of no region attend to, and are attended by, all whose similarity is above the
    picture's mean.

    Args:
        similarity: (B, N, N) cosine.
        labels: (B, N) region of each patch.

    Returns:
        (B, N, N) rows that sum to one.
    """
    same = labels[:, :, None] == labels[:, None]
    outside = (labels == OUTSIDE)[:, :, None] | (labels == OUTSIDE)[:, None]
    likely = similarity > similarity.mean((1, 2), keepdim=True)
    itself = torch.eye(labels.shape[1], dtype=torch.bool, device=labels.device)
    allowed = torch.where(outside, likely, same) | itself
    return (similarity * SHARPNESS).masked_fill(~allowed, -torch.inf).softmax(-1)


def region_class_tokens(vit: DenseViT, trace: Trace, index: int, masks: Tensor) -> Tensor:
    """One class token a region, which reads the class token and the region's patches alone.

    Args:
        vit: The tower.
        trace: Of a batch.
        index: Which picture.
        masks: (R, N) bool, patches of each region.

    Returns:
        (R, C) after the last block.
    """
    prefix = trace.layout.prefix
    readable = F.pad(masks, (prefix, 0), value=False)
    readable[:, 0] = True
    token = trace.entering[0][index, :1].expand(1, len(masks), -1)
    for block, tokens in zip(vit.tower.blocks, trace.entering, strict=True):
        _, keys, values = block.qkv(tokens[index : index + 1])
        queries = block.qkv(token)[0]
        read = F.scaled_dot_product_attention(queries, keys, values, attn_mask=readable)
        token = token + block.attention_branch(read)
        token = token + block.feed_forward(token)
    return token[0]


build = provided(CorrCLIP, provider="clip", regions="superpixels")
