"""The tower and the pictures on which WinCLIP is compared with anomalib; all made by formula."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import nn

from tests.backbones.builders import build

CONFIG = {
    "embed_dim": 24,
    "vision_cfg": {
        "layers": 3,
        "width": 48,
        "head_width": 16,
        "patch_size": 8,
        "image_size": 48,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 32,
        "heads": 2,
        "layers": 2,
    },
}
PRODUCT = "metal nut"
STEP = 3
"""Maps are stored at every third pixel."""


def model() -> nn.Module:
    """A three-block CLIP of a 6 × 6 grid; weights as in `tests.backbones.builders.fill_fast`."""
    return build(CONFIG)


def picture(number: int) -> NDArray[np.uint8]:
    """(48, 48, 3) uint8, a different one for every number."""
    ys, xs = np.mgrid[:48, :48] / 48
    waves = [np.sin(6.3 * (xs * (number + c) + ys * (2 + c)) + number) for c in (0.3, 1.1, 2.2)]
    spot = ((xs - 0.2 * number) ** 2 + (ys - 0.5) ** 2 < 0.02)[..., None]
    image = 127 + 90 * np.stack(waves, -1) * ~spot
    return np.rint(image).clip(0, 255).astype(np.uint8)
