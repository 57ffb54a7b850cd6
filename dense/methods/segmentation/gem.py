"""GEM: a second path through the last blocks that groups tokens by an ensemble of self-attentions.

Bousselham et al., "Grounding Everything: Emerging Localization Properties in Vision-Language
Transformers", CVPR 2024, arXiv:2312.00878.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from dense.backbones.attention import TokenLayout, attention_sum
from dense.backbones.blocks import Block
from dense.backbones.dual_path import parallel_outputs
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.methods.segmentation.base import PatchMethod, builder


@dataclass(frozen=True)
class GEM(PatchMethod):
    """GEM (Bousselham et al. 2024).

    In each of the last blocks, queries, keys and values are each normalised and averaged by their
    own self-attention a few times (tokens of one group move together), and the three resulting
    attentions read the values; the second path sums up their mean, without feed-forward branches.
    The soft-max temperature adapts to the length of the tokens, so one setting fits all towers.
    Above plain CLIP because the second path never passes through the attention that collects the
    picture's meaning in a few tokens; near MaskCLIP on detail, smoother on regions.

    Attributes:
        blocks: How many last blocks take part; the authors' depth 7 replaces the last 6.
        iterations: Times the projections are regrouped; the authors' default is 1.
        temperature: Factor on the cosine similarities; ``None`` adapts it to the tokens.
    """

    name: ClassVar[str] = "gem"
    blocks: int = 6
    iterations: int = 1
    temperature: float | None = None

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the second path. See the base class."""
        first = max(0, vit.num_blocks - self.blocks)
        tokens = parallel_outputs(vit, trace, first, self._mix)[-1]
        return vit.project(tokens[:, trace.layout.prefix :], trace.layout.grid)

    def _mix(self, block: Block, x: Tensor, layout: TokenLayout) -> Tensor:
        q, k, v = block.qkv(x)
        sharpness: Tensor | float
        if self.temperature is None:
            length = block.normalise(x).norm(dim=-1).mean(-1)
            sharpness = (length * q.shape[-1] ** -0.5).view(-1, 1, 1, 1)
        else:
            sharpness = self.temperature
        return self_grouped((q, k, v), v, sharpness, self.iterations)


def self_grouped(
    parts: Sequence[Tensor], v: Tensor, sharpness: Tensor | float, iterations: int
) -> Tensor:
    """Mean of the values mixed by the normalised self-attention of each part.

    Args:
        parts: Queries, keys or values, each (B, heads, T, d); each is replaced by its own
            attention's mean a few times before.
        v: (B, heads, T, d) values.
        sharpness: Factor on cosine similarities, broadcast to (B, heads, T, d).
        iterations: Times each part is replaced.

    Returns:
        (B, heads, T, d).
    """
    pairs = []
    for part in parts:
        unit = F.normalize(part, dim=-1)
        for _ in range(iterations):
            mean = attention_sum([(unit * sharpness, unit)], unit, scale=1.0)
            unit = F.normalize(mean, dim=-1)
        pairs.append((unit * sharpness, unit))
    return attention_sum(pairs, v, scale=1.0) / len(pairs)


build = builder(GEM)
