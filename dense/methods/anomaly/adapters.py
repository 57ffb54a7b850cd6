"""Linear layers from block outputs into the joint space, one a layer (APRIL-GAN, CLIP-AD SDP+)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dense.heads.layered import enlarged, state_cosines
from dense.structures import Size
from dense.training.mask_losses import dice, focal

SCALE = 100.0
"""Multiplier of cosines in the published code, whatever the checkpoint's own scale."""


class LayerAdapters(nn.Module):
    """One linear layer for each chosen block.

    Args:
        width: C, of the tower.
        joint_dim: D.
        count: Number of blocks.
    """

    def __init__(self, width: int, joint_dim: int, count: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, joint_dim) for _ in range(count)])

    def forward(self, tokens: Sequence[Tensor]) -> list[Tensor]:
        """(B, N, C) of each block → (B, N, D) of each, not normalised."""
        pairs = zip(self.layers, tokens, strict=True)
        return [layer(x.float()) for layer, x in pairs]


def layer_probabilities(
    features: Sequence[Tensor], weights: Tensor, grid: Size, size: Size
) -> list[Tensor]:
    """Probabilities of both states at input size, one (B, 2, h, w) a layer.

    Logits are enlarged (corners aligned), then turned into probabilities (APRIL-GAN, eq. 2).

    Args:
        features: (B, N, D) of each layer.
        weights: (B, 2, D) unit rows.
        grid: (gh, gw) of the N patches.
        size: (h, w).
    """
    logits = [SCALE * state_cosines(feature, weights) for feature in features]
    return [enlarged(x, grid, size, align_corners=True).softmax(1) for x in logits]


def adapter_losses(probabilities: Sequence[Tensor], masks: Tensor) -> dict[str, Tensor]:
    """Focal and Dice losses, summed over the layers (APRIL-GAN, section 3.2)."""
    return {
        "loss_focal": torch.stack([focal(p, masks) for p in probabilities]).sum(),
        "loss_dice": torch.stack([dice(p[:, 1], masks) for p in probabilities]).sum(),
    }
