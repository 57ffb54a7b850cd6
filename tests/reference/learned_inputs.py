"""Tower, learned parts and pictures on which the trained methods are compared with outside code."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tests.backbones.builders import build
from tests.reference.winclip_inputs import picture

CONFIG = {
    "embed_dim": 64,
    "quick_gelu": True,
    "vision_cfg": {
        "layers": 8,
        "width": 128,
        "head_width": 64,
        "patch_size": 8,
        "image_size": 48,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 64,
        "heads": 1,
        "layers": 4,
    },
}
"""Heads are 64 wide, as some of the outside code takes for granted."""

PRODUCT = "metal nut"
SIDE = 48
STEP = 3
"""Maps are stored at every third pixel."""
LAYERS = (1, 3, 5, 7)
PARALLEL = 5
"""Blocks with a second path in AnomalyCLIP's test."""


def model(*, quick_gelu: bool = True) -> nn.Module:
    """An eight-block CLIP of a 6 × 6 grid; weights as in `tests.backbones.builders.fill_fast`."""
    return build({**CONFIG, "quick_gelu": quick_gelu})


def wave(*shape: int, seed: int = 0, size: float = 1.0) -> Tensor:
    """A tensor by formula whose values are multiples of 1/256, exact in half precision."""
    index = torch.arange(int(np.prod(shape)), dtype=torch.float64) + 1009 * seed
    values = torch.sin(index * 12.9898 + 78.233) * 43758.5453
    centred = (values - values.floor() - 0.5) * 2 * size
    return ((centred * 256).round() / 256).float().view(shape)


def linears(names: Mapping[str, tuple[int, int]], seed: int = 0) -> dict[str, Tensor]:
    """Weights and biases of linear layers by name; (out, in) each."""
    state: dict[str, Tensor] = {}
    for number, (name, (out, into)) in enumerate(names.items()):
        state[f"{name}.weight"] = wave(out, into, seed=seed + 2 * number, size=into**-0.5)
        state[f"{name}.bias"] = wave(out, seed=seed + 2 * number + 1, size=0.1)
    return state


def anomalyclip_published(context: int = 12, deep: int = 4, width: int = 64) -> dict[str, Tensor]:
    """The learned parts in the layout of the authors' file."""
    state = {
        "ctx_pos": wave(1, 1, context, width, seed=1, size=0.5),
        "ctx_neg": wave(1, 1, context, width, seed=2, size=0.5),
    }
    for number in range(3):
        name = f"compound_prompts_text.{number}"
        state[name] = wave(deep, width, seed=3 + number, size=0.5)
    return state


def april_gan_published() -> dict[str, Tensor]:
    """Four linear layers in the layout of the authors' files."""
    return linears({f"fc.{i}": (64, 128) for i in range(4)}, seed=20)


def adaclip_published(depth: int = 3, length: int = 5) -> dict[str, Tensor]:
    """Everything that AdaCLIP learns, in the layout of the authors' file."""
    state: dict[str, Tensor] = {}
    for number in range(depth):
        for branch, width in (("text", 64), ("visual", 128)):
            name = f"clip_model.{branch}_prompter.static_prompts.{number}"
            state[name] = wave(length, width, seed=40 + number, size=0.5)
    names = {f"clip_model.patch_token_layer.head.{i}": (64, 128) for i in range(4)}
    names["clip_model.cls_token_layer.head.0"] = (64, 64)
    for i in range(length):
        names[f"clip_model.dynamic_visual_prompt_generator.head.{i}"] = (128, 64)
        names[f"clip_model.dynamic_text_prompt_generator.head.{i}"] = (64, 64)
    return state | linears(names, seed=60)


def test_pictures() -> list[NDArray[np.uint8]]:
    """Three pictures, 48 × 48."""
    return [picture(number) for number in (2, 3, 4)]


test_pictures.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name


def support_pictures() -> list[NDArray[np.uint8]]:
    """Two others."""
    return [picture(number) for number in (0, 1)]


def masks() -> Tensor:
    """(3, 48, 48) bool: a defect on the first and the last picture."""
    truth = torch.zeros(3, SIDE, SIDE, dtype=torch.bool)
    truth[0, 8:20, 12:30] = True
    truth[2, 30:, 30:] = True
    return truth


LABELS = (1, 0, 1)
