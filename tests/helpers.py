"""Tiny models and made-up pictures for the tests; nothing here needs a hub or a data set."""

from __future__ import annotations

import numpy as np
import torch

from dense.backbones import CLIPBackbone  # first: it repairs torchvision for open_clip
from dense.backbones.loading import build_model
from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.recommended import Recommended

import open_clip  # isort: skip

TINY = {
    "embed_dim": 16,
    "vision_cfg": {
        "layers": 3,
        "width": 32,
        "head_width": 16,
        "patch_size": 8,
        "image_size": 32,
    },
    "text_cfg": {
        "context_length": 77,
        "vocab_size": 49408,
        "width": 16,
        "heads": 2,
        "layers": 2,
    },
}


def fill_by_formula(module: torch.nn.Module, scale: float = 0.5) -> None:
    """Overwrite all weights with sines of their running index: the same on every platform."""
    with torch.no_grad():
        for number, (name, value) in enumerate(sorted(module.state_dict().items())):
            if not value.is_floating_point() or name == "attn_mask":
                continue
            index = torch.arange(value.numel(), dtype=torch.float64)
            wave = torch.sin(index * 12.9898 + number * 78.233) * 43758.5453
            wave = (wave - wave.floor() - 0.5) * 2
            fan = max(1, value[0].numel() if value.ndim > 1 else 1)
            wave = wave * scale * (3 / fan) ** 0.5 if value.ndim > 1 else wave * 0.1
            if value.ndim == 1 and name.endswith("weight"):
                wave = 1 + wave
            value.copy_(wave.view(value.shape).to(value.dtype))
        if "logit_scale" in dict(module.named_parameters()):
            module.logit_scale.fill_(float(np.log(100)))


def tiny_backbone(seed: int = 0) -> CLIPBackbone:
    """A three-block CLIP (patch 8, image 32, joint width 16) with formula-filled weights."""
    model = build_model(TINY)
    fill_by_formula(model, scale=0.8 + 0.1 * seed)
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    advice = Recommended(
        short_side=64, memory_layers=(-2,), words_short_side=32, memory_short_side=32
    )
    preprocess = PreprocessConfig()
    return CLIPBackbone(model, tokenizer, preprocess, name="tiny", recommended=advice).eval()


def photo(height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8: smooth colours with an edge; different for every seed."""
    rng = np.random.default_rng(seed)
    ys, xs = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(2 * np.pi * (a * xs + b * ys + c)) for a, b, c in rng.uniform(0, 3, (3, 3))]
    image = 127 + 100 * np.stack(waves, -1)
    image[height // 4 : height // 2, width // 4 : width // 2] = rng.uniform(0, 255, 3)
    return image.clip(0, 255).astype(np.uint8)
