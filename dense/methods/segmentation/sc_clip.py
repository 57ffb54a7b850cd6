"""SC-CLIP: anomalous tokens are mended, and middle features say which patches belong together.

Bai et al., "Self-Calibrated CLIP for Training-Free Open-Vocabulary Segmentation", arXiv:2411.15869.
A few tokens before the last block stand out and draw the attention of all others; once they are
mended, and the clean correlations of a middle block steer the last attention, little of the
picture-wide meaning is left in patches. Hence it leads the methods that use CLIP alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.methods.segmentation.base import PatchMethod, builder, scaled_block
from dense.structures import Size

NEIGHBOURS = 30
"""Of the local outlier factor, fewer on grids of fewer patches."""

SHARE_ANOMALOUS = 0.05


@dataclass(frozen=True)
class SCCLIP(PatchMethod):
    """SC-CLIP (Bai et al.), in the authors' one setting for all data sets.

    Blocks are given for 12 and scaled for other depths. Batches are handled picture by picture
    where the authors' code allows one picture only.

    Attributes:
        similarity_block: Block (0-based output) whose patches steer the attention and the first
            aggregation.
        detail_block: Block whose patches steer the last aggregation.
        fused: First block and end (exclusive) of the outputs summed for multi-level features.
        cutoff: Cosine similarities below take no part in aggregation.
        class_share: Of the class token that is added to every patch.
    """

    name: ClassVar[str] = "sc-clip"
    similarity_block: int = 8
    detail_block: int = 3
    fused: tuple[int, int] = (3, 10)
    cutoff: float = 0.4
    class_share: float = 0.3

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Calibrated features. See the base class.

        Raises:
            InputError: If the tower has no class token.
        """
        if trace.layout.prefix == 0:
            raise InputError(
                "SC-CLIP needs a tower with a class token, which this checkpoint has not; choose "
                "another method"
            )
        grid, last = trace.layout.grid, len(trace.entering) - 1
        deep = trace.patches(last)
        anomalous = anomalies(deep)
        middle = self._output(vit, trace, self.similarity_block)
        middle = F.normalize(mend(middle, anomalous, grid), dim=-1)
        relation = middle @ middle.transpose(1, 2)
        detail = F.normalize(self._output(vit, trace, self.detail_block), dim=-1)
        near = detail @ detail.transpose(1, 2)

        deep = self._aggregate(mend(deep, anomalous, grid), relation)
        levels = sorted({scaled_block(vit, block) for block in range(*self.fused)})
        levels = [min(level, last - 1) for level in levels]
        summed = torch.stack([trace.entering[level + 1] for level in levels]).sum(0)
        related = related_patches(relation)
        fused = self._attend(vit, deep, related)
        fused = fused + self._attend(vit, summed[:, trace.layout.prefix :], related)
        fused = fused + self.class_share * (trace.prefix(last)[:, :1] + summed[:, :1])
        # Aggregation is linear, so both paths share one.
        return vit.project(self._aggregate(fused, near), grid)

    @staticmethod
    def _output(vit: DenseViT, trace: Trace, block: int) -> Tensor:
        """Patches that leave a block; the last block's input stands in for its output."""
        return trace.patches(min(scaled_block(vit, block) + 1, len(trace.entering) - 1))

    def _aggregate(self, tokens: Tensor, relation: Tensor) -> Tensor:
        """Mean of related patches. tokens (B, N, C), relation (B, N, N) cosine."""
        weights = torch.where(relation < self.cutoff, 0.0, relation)
        return weights @ tokens / (weights.sum(-1, keepdim=True) + 1e-6)

    @staticmethod
    def _attend(vit: DenseViT, tokens: Tensor, related: Tensor) -> Tensor:
        """Last block's attention: mean of k k and of related patches, no residual, no MLP."""
        block = vit.tower.blocks[-1]
        _, keys, values = block.qkv(tokens)
        own = F.scaled_dot_product_attention(keys, keys, values)
        beside = torch.einsum("bnm,bhmd->bhnd", related, values)
        return block.attention_branch((own + beside) / 2)


def related_patches(relation: Tensor) -> Tensor:
    """Attention (B, N, N) from cosines: those above the mean, times 3, through a soft-max."""
    logits = (relation - relation.mean((1, 2), keepdim=True)) * 3.0
    return logits.masked_fill(logits < 0, -torch.inf).softmax(-1)


def anomalies(tokens: Tensor) -> Tensor:
    """Patches that stand out: the largest 5 % of local outlier factors.

    The local outlier factor (Breunig et al. 2000) on squared distances, as the authors compute it.
    tokens (B, N, C) → (B, N) bool; none on grids of fewer than 3 patches.
    """
    count = tokens.shape[1]
    neighbours = min(NEIGHBOURS, count - 1)
    if neighbours < 2:
        return torch.zeros(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    x = tokens.float()
    distances = torch.cdist(x, x) ** 2
    nearest, index = distances.topk(neighbours + 1, largest=False)
    nearest, index = nearest[..., 1:], index[..., 1:]
    reach = torch.maximum(nearest, nearest[..., -1:])
    density = neighbours / reach.mean(-1)
    around = density.gather(1, index.flatten(1)).view_as(nearest)
    factor = (around / density[..., None]).mean(-1)
    return factor > factor.quantile(1 - SHARE_ANOMALOUS, dim=-1, keepdim=True)


def mend(tokens: Tensor, anomalous: Tensor, grid: Size) -> Tensor:
    """Replace anomalous patches by the mean of their sound neighbours of 8, where there are any.

    tokens (B, N, C), anomalous (B, N) bool → (B, N, C).
    """
    sound = (~anomalous).to(tokens.dtype).unsqueeze(-1)
    total, count = (_sum_of_nine(x, grid) for x in (tokens * sound, sound))
    mendable = anomalous.unsqueeze(-1) & (count > 0.5)
    return torch.where(mendable, total / count.clamp(min=1), tokens)


def _sum_of_nine(tokens: Tensor, grid: Size) -> Tensor:
    """(B, N, C) → sum over each patch and its 8 neighbours; anomalous ones enter as zero."""
    maps = tokens.transpose(1, 2).unflatten(2, grid)
    return (9 * F.avg_pool2d(maps, 3, stride=1, padding=1)).flatten(2).transpose(1, 2)


build = builder(SCCLIP)
