"""Inputs of the stored reference numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest


class Reference(NamedTuple):
    maps: np.ndarray
    masks: np.ndarray
    numbers: dict


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Five formula-filled maps with ties, their masks and what other packages make of them."""
    i, y, x = np.mgrid[0:5, 0:24, 0:20]
    masks = np.zeros((5, 24, 20), dtype=np.uint8)
    masks[1, 2:6, 3:9] = 1
    masks[1, 6, 9] = 1
    masks[1, 10:12, 10:18] = 1
    masks[2, 0:3, 0:2] = 1
    masks[4, 20:24, 5:20] = 1
    masks[4, 8, 8] = 1
    levels = (37 * i * i + 11 * x * y + 7 * y * y + 3 * x + 5 * i * x) % 48 + 15 * masks
    levels[1, 3, 4] = 64
    path = Path(__file__).parents[1] / "reference" / "metrics.json"
    numbers = json.loads(path.read_text())
    return Reference((levels / 64).astype(np.float32), masks, numbers)
