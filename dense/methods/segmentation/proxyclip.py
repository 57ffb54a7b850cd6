"""ProxyCLIP: the last block's values, mixed by what a self-supervised network finds alike.

Lan et al., "ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary Segmentation", ECCV 2024,
arXiv:2408.04883. DINO's patches agree over whole objects and disagree across their borders, which
no attention inside CLIP does; hence it stands above the methods that use CLIP alone but SC-CLIP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.methods.segmentation.provided import ProvidedMethod, mixed_values, provided, tiled
from dense.providers import fitted
from dense.providers.base import cosine


@dataclass(frozen=True)
class ProxyCLIP(ProvidedMethod):
    """ProxyCLIP (Lan et al. 2024).

    Differences from the authors' code: the mean similarity is each picture's own (theirs is the
    batch's, which is one window), a patch always attends to itself (theirs gives no number where
    all similarities are below the cut), and pictures are resized so that both networks' patches
    fit, not padded.

    Attributes:
        provider: The second network; the paper's is DINO ViT-B/8.
        cut: Similarities below this times their mean take no part (β).
        sharpness: Factor before the soft-max (γ).
    """

    name: ClassVar[str] = "proxyclip"
    cut: float = 1.2
    sharpness: float = 3.0

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features on the second network's grid. See the base class."""
        view = self.look(vit, trace)
        grid = tiled(view.grid, trace.layout.grid)
        weights = proxy_attention(cosine(fitted(view.features, grid)), self.cut, self.sharpness)
        return vit.project(mixed_values(vit, trace.entering[-1], trace, weights, grid), grid)


def proxy_attention(similarity: Tensor, cut: float, sharpness: float) -> Tensor:
    """Normalised and masked similarity (equation 5). (B, N, N) → rows that sum to one."""
    logits = (similarity - cut * similarity.mean((1, 2), keepdim=True)) * sharpness
    itself = torch.eye(logits.shape[-1], dtype=torch.bool, device=logits.device)
    return logits.masked_fill((logits < 0) & ~itself, -torch.inf).softmax(-1)


build = provided(ProxyCLIP, provider="clip")
