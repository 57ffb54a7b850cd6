"""Shared set-up: libraries repaired before any test imports them, two threads, fixed seeds."""

import pytest
import torch

from dense.compat import ensure_torchvision

ensure_torchvision()


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
