"""Losses of normal and damaged pictures as pure functions, beside those of `losses`.

Axis letters: B images, N patches, D joint width, K windows, S phrases. Every function returns a
scalar, the mean over what it is given.

| function | paper |
|---|---|
| `patch_state_loss`, `state_loss` | supervised form of WinCLIP's states, Jeong et al. 2023 |
| `window_state_loss` | the same on WinCLIP's windows |
| `pair_ranking` | RankNet, Burges et al. 2005, on an intact and a damaged twin |
| `typed_state_loss` | the same with a phrase for each kind of damage |
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def state_logits(
    embeddings: Tensor, states: Tensor, scale: Tensor | float, bias: Tensor | float
) -> Tensor:
    """How much nearer an embedding is to the anomalous than to the normal state.

    Args:
        embeddings: (B, ..., D) unit rows.
        states: (B, 2, D) unit rows: normal, anomalous.
        scale: Multiplier of the difference of cosines.
        bias: Added.

    Returns:
        (B, ...) logits.
    """
    direction = states[:, 1] - states[:, 0]
    direction = direction.view(len(states), *[1] * (embeddings.ndim - 2), -1)
    return scale * (embeddings * direction).sum(-1) + bias


def state_loss(logits: Tensor, anomalous: Tensor) -> Tensor:
    """Binary cross entropy of class tokens or windows. logits and anomalous (0 or 1): (...)."""
    return F.binary_cross_entropy_with_logits(logits, anomalous.to(logits.dtype))


def patch_state_loss(logits: Tensor, coverage: Tensor, *, positive_weight: float = 4.0) -> Tensor:
    """Binary cross entropy of patches; defects are small, so their patches weigh more.

    A patch that is covered by a quarter or more is wholly defective, below that in proportion;
    patches that are barely touched do not count.

    Args:
        logits: (B, N).
        coverage: (B, N) share of each patch that the defect covers.
        positive_weight: Weight of a defective patch.
    """
    target = (coverage / FULL_COVERAGE).clamp(max=1).to(logits.dtype)
    touched = (coverage > 0) & (coverage < LEAST_COVERAGE)
    weight = torch.where(target > 0, positive_weight, 1.0) * ~touched
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (entropy * weight).sum() / weight.sum().clamp(min=1e-6)


FULL_COVERAGE = 0.25
"""Share of a patch from which it counts as wholly defective."""

LEAST_COVERAGE = 0.03
"""Patches that are touched by less than this share do not count."""


def window_state_loss(logits: Tensor, coverage: Tensor) -> Tensor:
    """Binary cross entropy of windows; those that are barely touched do not count.

    Args:
        logits: (B, K).
        coverage: (B, K) greatest share of a patch of the window that the defect covers.
    """
    target = (coverage > WINDOW_COVERAGE).to(logits.dtype)
    counts = ((coverage == 0) | (coverage > WINDOW_COVERAGE)).to(logits.dtype)
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (entropy * counts).sum() / counts.sum().clamp(min=1)


WINDOW_COVERAGE = 0.1
"""Coverage of its worst patch from which a window counts as defective."""


def pair_ranking(normal: Tensor, damaged: Tensor) -> Tensor:
    """The damaged picture must score above its own intact version. Logits (B,) and (B,)."""
    return F.softplus(normal - damaged).mean()


def typed_state_loss(
    patches: Tensor, phrases: Tensor, scale: Tensor | float, labels: Tensor, coverage: Tensor
) -> Tensor:
    """Defective patches must be nearest to the phrase of their own kind of damage.

    Args:
        patches: (B, N, D) unit rows of damaged pictures.
        phrases: (B, S, D) unit rows: a phrase for each kind, then the intact state.
        scale: Multiplier from cosine similarity to logits.
        labels: (B,) index of the right phrase.
        coverage: (B, N); patches covered by a fifth or more count.
    """
    logits = scale * torch.einsum("bnd,bsd->bns", patches, phrases)
    target = labels[:, None].expand(logits.shape[:2])
    entropy = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
    weight = (coverage > 0.2).to(entropy.dtype).flatten()
    return (entropy * weight).sum() / weight.sum().clamp(min=1)
