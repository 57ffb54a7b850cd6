"""The tower and pictures on which segmentation methods are compared with their authors' code."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.backbones.builders import build, images, tiny_config

GRID = (6, 6)
STEP = 3
"""Every third number is stored."""
LAYERS, WIDTH, HEADS, PATCH, SIDE, JOINT = 12, 32, 2, 8, 48, 16


def model() -> nn.Module:
    """A CLIP of twelve narrow blocks with QuickGELU, as OpenAI's code has it."""
    config = tiny_config(layers=LAYERS, image_size=SIDE)
    return build({**config, "quick_gelu": True})


def pictures() -> Tensor:
    """(2, 3, 48, 48) preprocessed."""
    return images(SIDE, SIDE)


def texts() -> Tensor:
    """(4, 16) unit rows."""
    return F.normalize(torch.sin(torch.arange(4 * JOINT).view(4, JOINT) * 1.7), dim=-1)


def labels() -> Tensor:
    """(6, 6) classes of a made-up first segmentation: two parts of class 1, apart."""
    grid = torch.zeros(GRID, dtype=torch.int64)
    grid[:2, :3] = 1
    grid[4:, 4:] = 1
    grid[3:, :2] = 2
    return grid


def colours() -> Tensor:
    """(1, 3, 20, 28) a picture in [0, 1] with an edge."""
    picture = images(20, 28, batch=1) * 0.2 + 0.5
    picture[..., 5:14, 8:20] += 0.25
    return picture


def masks() -> Tensor:
    """(1, 3, 20, 28) probabilities of three classes, coarse."""
    coarse = torch.sin(torch.arange(3 * 5 * 7).view(1, 3, 5, 7) * 0.9)
    return F.interpolate(coarse, (20, 28), mode="bilinear").softmax(1)
