"""Trident: windows are spliced into one map of features, then SAM links the whole picture.

Shi et al., "Harnessing Vision Foundation Models for High-Performance, Training-Free Open Vocabulary
Segmentation", ICCV 2025, arXiv:2411.09219. Sliding windows keep CLIP near its own input size but
blind to all beyond a window; here only features are windowed, and one attention over the whole
picture joins them. Hence it is above ProxyCLIP, its first half.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.methods.segmentation.provided import ProvidedMethod, mixed_values, provided, tiled
from dense.methods.segmentation.proxyclip import proxy_attention
from dense.methods.segmentation.windows import WindowMean, plan_windows
from dense.providers import Provider, View, fitted
from dense.providers.base import cosine

HIGHEST_CUT = 0.9


@dataclass(frozen=True)
class Trident(ProvidedMethod):
    """Trident (Shi et al. 2025) without its last step, prompting SAM with the first masks.

    It wants the whole picture: run it with a protocol without windows; its own are below. Works
    on batches where the authors' code takes one picture. Cityscapes is not split in two for SAM.

    Attributes:
        provider: Links patches inside a window; the paper's is DINO ViT-B/16.
        aggregator: Links the whole picture; the paper's is SAM ViT-B.
        window: Side of a window in pixels, rounded down to patches.
        step: Step of the windows, rounded down to patches.
        cut: Similarities inside a window below this times their mean take no part (β).
        sharpness: Factor before the soft-max (γ).
        gate: The aggregator's attention counts where the cosine of its values is above this times
            the row's mean (1.2 in the paper, 3 for Cityscapes, 0 for VOC20).
    """

    name: ClassVar[str] = "trident"
    aggregator: Provider
    window: int = 336
    step: int = 224
    cut: float = 1.2
    sharpness: float = 3.0
    gate: float = 1.2

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features on the aggregator's grid. See the base class."""
        view = self.aggregator.look(vit, trace)
        spliced = fitted(self._splice(vit, trace), view.grid).flatten(2).transpose(1, 2)
        tokens = gated_attention(view, self.gate).to(spliced.dtype) @ spliced
        return fitted(vit.project(tokens, view.grid), tiled(view.grid, trace.layout.grid))

    def _splice(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Mean over windows of what the last block's attention branch gives, (B, C, gh', gw')."""
        if trace.images is None:
            return self._window(vit, trace)
        images, patch = trace.images, max(vit.patch_size)
        crop, stride = (max(1, side // patch) * patch for side in (self.window, self.step))
        plan = plan_windows((images.shape[-2], images.shape[-1]), vit.patch_size, crop, stride)
        if len(plan.corners) == 1:
            return self._window(vit, trace)
        mean = WindowMean(plan, len(images))
        for corners, windows in plan.batches(images, len(images)):
            mean.add(corners, self._window(vit, vit.trace(windows)))
        return mean.scores()

    def _window(self, vit: DenseViT, trace: Trace) -> Tensor:
        view = self.look(vit, trace)
        grid = tiled(view.grid, trace.layout.grid)
        weights = proxy_attention(cosine(fitted(view.features, grid)), self.cut, self.sharpness)
        tokens = mixed_values(vit, trace.entering[-1], trace, weights, grid)
        return tokens.transpose(1, 2).unflatten(2, grid)


def gated_attention(view: View, gate: float) -> Tensor:
    """Mean over heads of the attention between patches whose values agree (section 3.3).

    Args:
        view: Of the aggregator.
        gate: Factor on the mean cosine of each row, over all heads.

    Returns:
        (B, N, N) rows that sum to one.
    """
    values = F.normalize(view.values[:, :, view.inside].float(), dim=-1)
    row_means = (values @ values.mean(2, keepdim=True).transpose(2, 3)).mean(1)
    bound = (gate * row_means).clamp(max=HIGHEST_CUT)
    total = torch.zeros((), device=values.device)
    for head in range(view.heads):  # one head at a time: SAM's are 4096 × 4096
        unit = values[:, head]
        agree = unit @ unit.transpose(1, 2) > bound
        total = total + torch.where(agree, view.attention(head).float(), 0.0)
    return total / total.sum(-1, keepdim=True)


build = provided(Trident, provider="clip", aggregator="clip")
