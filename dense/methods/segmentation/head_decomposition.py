"""Text-based decomposition: what each patch adds to the image feature through each head.

Gandelsman, Efros and Steinhardt, "Interpreting CLIP's Image Representation via Text-Based
Decomposition", ICLR 2024, arXiv:2310.05916. The class token is a sum over blocks, heads and
patches; each patch's own share says how much it speaks for a class. It asks what the whole
picture's feature is made of, not what a patch shows: patches that the class token does not attend
to say next to nothing. What all patches have in common is small here, so it names many classes
and is noisy (docs/segmentation.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dense.backbones.blocks import Block, run_class_query
from dense.backbones.towers import OpenClipTower
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.methods.segmentation.base import PatchMethod, builder
from dense.structures import TextClassifier


@dataclass(frozen=True)
class HeadDecomposition(PatchMethod):
    """Zero-shot segmentation by direct contributions (Gandelsman et al. 2024, section 3.2).

    The authors cut one class from its ground at the map's mean; here the classes compete. Scores
    are multiplied by the number of patches: a patch that says its even share of the whole has the
    whole's cosine.

    Attributes:
        blocks: How many last blocks count; 0 is all, as in the authors' code.
    """

    name: ClassVar[str] = "head-decomposition"
    blocks: int = 0

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Contributions (B, D, gh, gw) in units of the image feature's length, times N.

        Raises:
            InputError: If the tower does not pool an open_clip class token.
        """
        tower = vit.tower
        if not isinstance(tower, OpenClipTower) or tower.visual.pool_type != "tok":
            raise InputError(
                "head-decomposition needs an open_clip tower that pools its class token, which "
                "this checkpoint does not; choose another method"
            )
        depth, tokens = vit.num_blocks, trace.entering[0].shape[1]
        first = depth - min(self.blocks or depth, depth)
        total = torch.zeros((), device=trace.entering[0].device)
        for block, x in list(zip(tower.blocks, trace.entering, strict=True))[first:]:
            total = total + contributions(block, x)[:, trace.layout.prefix :]
        share = (depth - first) / ((2 * depth + 1) * tokens)  # of the norm's mean and bias
        final = run_class_query(tower.blocks[-1], trace.entering[-1], 1)
        norm = tower.visual.ln_post
        deviation = (final.var(-1, keepdim=True, correction=0) + norm.eps).sqrt()
        centred = (total - share * final.mean(-1, keepdim=True)) / deviation
        joint = (norm.weight * centred + share * norm.bias) @ tower.visual.proj
        whole = tower.pool(final).norm(dim=-1).view(-1, 1, 1)
        count = trace.layout.grid[0] * trace.layout.grid[1]
        return (count * joint / whole).transpose(1, 2).unflatten(2, trace.layout.grid)

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Contributions along each text, less their mean over texts. See the base class."""
        dense = self.dense(vit, trace).float()
        scores = torch.einsum("bdhw,pd->bphw", dense, classifier.weights.float())
        return scores - scores.mean(1, keepdim=True)


def contributions(block: Block, x: Tensor, row: int = 0) -> Tensor:
    """What each token adds to the pooled token by attention in a block, summed over heads.

    The output projection is linear, so each token's share of it stands alone; its bias is dealt
    evenly to the tokens.

    Args:
        block: The block.
        x: (B, T, C) tokens that enter it; the pooled one sees all.
        row: Place of the pooled token: the class token comes first.

    Returns:
        (B, T, C); the sum over tokens is the attention branch of the pooled token.
    """
    q, k, v = block.qkv(x)
    weights = (q[:, :, row, None] @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
    bias = block.attention_branch(torch.zeros_like(v[:, :, :1]))
    own = block.attention_branch(weights.transpose(-2, -1) * v)
    return own - bias * (1 - 1 / x.shape[1])


build = builder(HeadDecomposition)
