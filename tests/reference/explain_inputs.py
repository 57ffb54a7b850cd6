"""A picture, a sentence and settings for comparisons of explanations with outside code."""

from __future__ import annotations

import torch
from torch import Tensor

from tests.backbones.builders import images

SENTENCE = "a crooked shed near water"
AGAINST = "zebra"


def picture() -> Tensor:
    """(1, 3, 32, 32) preprocessed, at the tiny tower's own size."""
    return images(32, 32, batch=1)


SECOND_ORDER_POINTS = 10
M2IB_SEED = 0


def seeded() -> None:
    """The state of torch's own generator that `M2IB(seed=0)` draws from."""
    torch.manual_seed(M2IB_SEED)
