"""Rows filled by formula: the same on every platform, for comparisons with outside code."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def formula_rows(count: int, width: int, number: int = 0) -> Tensor:
    """(count, width) fp32 in [-1, 1)."""
    index = torch.arange(count * width, dtype=torch.float64)
    wave = torch.sin(index * 12.9898 + number * 78.233) * 43758.5453
    return (wave.frac().abs() * 2 - 1).view(count, width).float()


CORESET_ROWS, CORESET_SHARE = formula_rows(60, 6), 0.25
BANK = F.normalize(formula_rows(40, 8, 1), dim=1)
QUERIES = F.normalize(formula_rows(36, 8, 2), dim=1).view(3, 12, 8)
WEIGHTED = (9, 4)
