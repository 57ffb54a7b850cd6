"""CLIPer: early blocks lend their attention to the last one, and their tokens to the result.

Sun et al., "CLIPer: Hierarchically Improving Spatial Representation of CLIP for Open-Vocabulary
Semantic Segmentation", ICCV 2025, arXiv:2411.13836. Attention of early blocks follows places and
shapes; summed up it replaces the last block's, which serves the class token. Hence it is near
SC-CLIP without its calibration; the compensation by a diffusion model brings it above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.heads.pixel import text_similarity
from dense.methods.segmentation.provided import ProvidedMethod, provided
from dense.methods.segmentation.proxyclip import proxy_attention
from dense.providers import fitted
from dense.providers.base import cosine
from dense.structures import Size, TextClassifier

SMALLEST = 1e-12
COMPENSATION = (1.2, 3.0)
"""Cut and sharpness of the affinity that compensates (ProxyCLIP's, as in the authors' code)."""


@dataclass(frozen=True)
class CLIPer(ProvidedMethod):
    """CLIPer (Sun et al. 2025).

    The authors choose `least` for every benchmark (0.1 to 0.35; the default is the most frequent)
    and class-wise score thresholds, which have no place here. Differences from their code: windows,
    where the protocol has them, do not also see the whole picture, and scores become probabilities
    by their share among the queries. Their compensation multiplies self-attention maps of Stable
    Diffusion; the provider of another network may stand in, which their code offers as well.

    Attributes:
        provider: Compensates the result on its own grid; ``"none"`` (``None``) leaves it out.
        fuse: Add the mean of the scores of all blocks' tokens (early-layer fusion).
        least: Scores below this share of their query's highest in the picture count as none before
            they are spread by the attention.
    """

    name: ClassVar[str] = "cliper"
    fuse: bool = True
    least: float = 0.2

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the last block under the fused attention. See the base class."""
        return self._levels(vit, trace)[0][-1]

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Logarithm of the fused scores over the logit scale. See the base class."""
        levels, attention = self._levels(vit, trace)
        *early, last = (level_scores(level, classifier) for level in levels)
        kept = torch.where(last < last.amax((-2, -1), keepdim=True) * self.least, 0.0, last)
        total = (kept.flatten(2) @ attention.float()).unflatten(2, trace.layout.grid)
        if self.fuse:
            total = total + torch.stack([*early, kept]).mean(0)
        total = self._compensate(vit, trace, total)
        return total.clamp(min=SMALLEST).log() / classifier.logit_scale

    def _levels(self, vit: DenseViT, trace: Trace) -> tuple[list[Tensor], Tensor]:
        """Dense features of each block's tokens, each (B, D, gh, gw), and the attention (B, N, N).

        Every level balances the attention once more than the one before, as in the authors' code.
        """
        blocks, layout = vit.tower.blocks, trace.layout
        early = list(zip(blocks[:-1], trace.entering[:-1], strict=True))
        raw = torch.zeros((), device=trace.entering[0].device)
        for block, x in early:
            raw = raw + _attention(*block.qkv(x)[:2])
        levels = []
        tokens = [block.normalise(x) for block, x in early] + [trace.entering[-1]]
        fused = raw
        for x in tokens:
            raw = raw / raw.sum(-2, keepdim=True)
            raw = raw / raw.sum(-1, keepdim=True)
            fused = contrasted(raw)
            values = blocks[-1].qkv(x)[2]
            patches = blocks[-1].attention_branch(fused @ values)[:, layout.prefix :]
            levels.append(vit.project(patches, layout.grid))
        return levels, fused.mean(1)[:, layout.prefix :, layout.prefix :]

    def _compensate(self, vit: DenseViT, trace: Trace, scores: Tensor) -> Tensor:
        if self.provider is None:
            return scores
        view = self.look(vit, trace)
        affinity = proxy_attention(cosine(view.features), *COMPENSATION)
        spread = fitted(scores, view.grid).flatten(2) @ affinity.transpose(1, 2)
        size: Size = trace.layout.grid
        return fitted(spread.unflatten(2, view.grid), size)


def contrasted(attention: Tensor) -> Tensor:
    """Symmetric part of balanced attention above each column's mean; rows sum to one.

    (B, heads, T, T) → the same.
    """
    both = (attention + attention.transpose(-2, -1)) / 2
    above = (both - both.mean(-2, keepdim=True)).clamp(min=0)
    return above / above.sum(-1, keepdim=True).clamp(min=SMALLEST)


def level_scores(dense: Tensor, classifier: TextClassifier) -> Tensor:
    """Probabilities (B, P, gh, gw) of the queries beside one more, the mean of all foreground."""
    weights = classifier.weights
    foreground = weights
    if classifier.background is not None and classifier.class_index is not None:
        foreground = weights[classifier.class_index.to(weights.device) != classifier.background]
    common = F.normalize(foreground.mean(0, keepdim=True), dim=-1)
    similarity = text_similarity(dense, torch.cat([weights, common]))
    return (similarity * classifier.logit_scale).softmax(1)[:, :-1]


def _attention(q: Tensor, k: Tensor) -> Tensor:
    """(B, heads, T, T) as trained."""
    return (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)


build = provided(CLIPer, provider="none")
