"""Made-up vocabularies."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from dense.structures import TextClassifier


def words(count: int, width: int = 16, **options: object) -> TextClassifier:
    rows = F.normalize(torch.sin(torch.arange(count * width).view(count, width) * 1.7), dim=-1)
    return TextClassifier(rows, tuple("abcdefgh"[:count]), **options)  # type: ignore[arg-type]
