"""Losses between anomaly maps and defect masks, shared by the trained anomaly methods."""

from __future__ import annotations

import torch
from torch import Tensor

SMOOTH = 1e-5


def focal(probabilities: Tensor, truth: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Focal loss of two classes (Lin et al. 2017, equation 4, without class weights).

    The target is smoothed by 1e-5 and the probability of the truth raised by as much, as the
    published trainings of this line all have it; that also keeps the logarithm finite.

    Args:
        probabilities: (B, 2, ...) summing to 1 over the second axis; normal, anomalous.
        truth: (B, ...) bool or 0 / 1.
        gamma: Focusing exponent.

    Returns:
        The mean over all positions.
    """
    chosen = torch.where(truth.bool(), probabilities[:, 1], probabilities[:, 0])
    likely = chosen * (1 - SMOOTH) + (1 - chosen) * SMOOTH + SMOOTH
    return -((1 - likely) ** gamma * likely.log()).mean()


def dice(probability: Tensor, truth: Tensor) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016), each picture alone, smoothed by one pixel.

    Args:
        probability: (B, h, w) in [0, 1].
        truth: (B, h, w) bool or 0 / 1.

    Returns:
        The mean over pictures; 0 where both are empty.
    """
    found, wanted = probability.flatten(1), truth.flatten(1).to(probability.dtype)
    shared = (found * wanted).sum(1)
    return 1 - ((2 * shared + 1) / (found.sum(1) + wanted.sum(1) + 1)).mean()
