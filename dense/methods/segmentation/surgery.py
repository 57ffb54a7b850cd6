"""CLIP Surgery: a value-value path beside the last blocks; class scores freed of what all share.

Li et al., "A closer look at the explainability of Contrastive language-image pre-training",
Pattern Recognition 2025, arXiv:2304.05653.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from dense.backbones.dual_path import parallel_outputs
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.methods.segmentation.base import PatchMethod, builder
from dense.structures import TextClassifier

SHARPNESS = 2.0
"""Factor on the whole picture's similarities before their soft-max (the authors' code)."""


@dataclass(frozen=True)
class CLIPSurgery(PatchMethod):
    """CLIP Surgery (Li et al. 2025): architecture surgery, then feature surgery.

    The second path reads values by value-value attention and skips feed-forward branches, which
    turn patches towards the opposite of their own class; it is therefore above plain CLIP. Summed
    over six blocks it keeps less of the last block's own detail than MaskCLIP's value path.

    Attributes:
        blocks: How many last blocks take part (6 of 12 in the paper).
        feature_surgery: Weight each query by how much the whole picture shows it, and subtract
            what all queries share.
    """

    name: ClassVar[str] = "clip-surgery"
    blocks: int = 6
    feature_surgery: bool = True

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the second path. See the base class."""
        first = max(0, vit.num_blocks - self.blocks)
        tokens = parallel_outputs(vit, trace, first)[-1]
        return vit.project(tokens[:, trace.layout.prefix :], trace.layout.grid)

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Similarity after feature surgery. See the base class."""
        similarity = super().similarity(vit, trace, classifier)
        if not self.feature_surgery:
            return similarity
        picture = F.normalize(vit.pool(trace).float(), dim=-1) @ classifier.weights.float().T
        return operate(similarity, picture)


def operate(similarity: Tensor, picture: Tensor) -> Tensor:
    """Feature surgery in closed form.

    The paper multiplies features and texts channel by channel, weights each class, subtracts the
    mean over classes and sums up the channels; the sum can be taken first. Subtracting what all
    classes share cannot change the winner, the weights can.

    Args:
        similarity: (B, P, gh, gw) cosine of patches.
        picture: (B, P) cosine of the whole picture.

    Returns:
        (B, P, gh, gw), zero mean over the queries.
    """
    share = (picture * SHARPNESS).softmax(-1)
    weights = share / share.mean(-1, keepdim=True)
    weighted = similarity * weights[:, :, None, None]
    return weighted - weighted.mean(1, keepdim=True)


build = builder(CLIPSurgery)
