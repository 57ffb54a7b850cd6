"""What a second network would say, by formula, for the tower of `segmentation_inputs`."""

from __future__ import annotations

import torch
from torch import Tensor

from dense.providers import View
from tests.backbones.builders import images
from tests.reference import segmentation_inputs as given

FINE = (12, 12)
"""Twice the tower's grid."""
WIDE = (48, 64)
"""A picture of two windows, the second 16 pixels to the right."""
WHOLE = (12, 16)
"""The aggregator's grid on it."""
CONV, CORR = 8, 0.2


def waves(*shape: int, speed: float = 1.3) -> Tensor:
    """Sines of the running index, damped with it: neither periodic nor alike."""
    index = torch.arange(int(torch.tensor(shape).prod()), dtype=torch.float64)
    return (torch.sin(index * speed) + torch.cos(index.sqrt())).float().view(shape)


def view(batch: int, grid: tuple[int, int], speed: float) -> View:
    """A network of two heads of width 8, without class token."""
    count = grid[0] * grid[1]
    q, k, v = (waves(batch, 2, count, 8, speed=speed + i) for i in range(3))
    return View(waves(batch, 10, *grid, speed=speed), q, k, v, torch.arange(count))


def windows() -> View:
    """Two windows, the second the first mirrored: equal mean similarity.

    Trident's code takes the mean over all windows at once, ours over each.
    """
    one = view(1, given.GRID, 1.3)
    features = torch.cat([one.features, one.features.flip(-1)])
    q, k, v = (torch.cat([part, part]) for part in (one.queries, one.keys, one.values))
    return View(features, q, k, v, one.inside)


def wide_picture() -> Tensor:
    """(1, 3, 48, 64)."""
    return images(*WIDE, batch=1)


def regions() -> Tensor:
    """(48, 48) five regions, two of them small, and a corner of none."""
    labels = torch.zeros(given.SIDE, given.SIDE, dtype=torch.int64)
    labels[:, 24:] = 1
    labels[24:, :24] = 2
    labels[8:16, 8:16] = 3
    labels[28:44, 28:40] = 4
    labels[:8, 36:] = -1
    return labels


def convolutions() -> dict[str, Tensor]:
    """Weights of CLIP-DINOiser's two convolutions."""
    return {
        "correlation.weight": 0.1 * waves(CONV, given.WIDTH, 3, 3, speed=2.1),
        "correlation.bias": 0.1 * waves(CONV, speed=0.7),
        "foreground.weight": waves(1, given.WIDTH, 1, 1, speed=1.9),
        "foreground.bias": torch.zeros(1),
    }
