"""open_clip models with formula-filled weights, from configurations alone: no hub, no download."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterable
from typing import Any

import torch

from dense.backbones.loading import build_model
from dense.backbones.vit import DenseViT

import open_clip  # isort: skip
from timm.models.vision_transformer import VisionTransformer as TimmViT  # isort: skip

PERIOD = 1_000_003  # prime: rows of a matrix never repeat


@functools.cache
def _wave() -> torch.Tensor:
    index = torch.arange(PERIOD, dtype=torch.float64)
    wave = torch.sin(index * 12.9898 + 78.233) * 43758.5453
    return ((wave - wave.floor() - 0.5) * 2).float().repeat(2)


def fill_fast(module: torch.nn.Module, scale: float = 1.0) -> torch.nn.Module:
    """Like `tests.helpers.fill_by_formula`, at the speed of a copy; for towers of full size.

    Matrices get variance scale² / fan-in, norm weights stay near 1, layer scales near 0.3.
    """
    wave = _wave()
    with torch.no_grad():
        for number, (name, value) in enumerate(sorted(module.named_parameters())):
            fan = value[0].numel() if value.ndim > 1 else 1
            if name.endswith(("proj", "text_projection")) or "positional" in name or value.ndim > 3:
                fan = max(fan, value.shape[-1])
            size = scale * (3 / fan) ** 0.5 if value.ndim > 1 else 0.1
            shift = 0.0
            if value.ndim == 1 and name.endswith("weight"):
                shift = 1.0
            if name.endswith("gamma"):
                shift = 0.3
            flat = value.view(-1)
            begin = 7919 * number % PERIOD
            for start in range(0, flat.numel(), PERIOD):
                part = flat[start : start + PERIOD]
                source = wave[begin : begin + len(part)]
                torch.mul(source, size, out=part).add_(shift)
    return module.eval()


def tiny_config(**vision: Any) -> dict[str, Any]:
    """A three-block CLIP configuration; keywords overwrite entries of the vision tower."""
    return {
        "embed_dim": 16,
        "vision_cfg": {
            "layers": 3,
            "width": 32,
            "head_width": 16,
            "patch_size": 8,
            "image_size": 32,
            **vision,
        },
        "text_cfg": {
            "context_length": 20,
            "vocab_size": 100,
            "width": 16,
            "heads": 2,
            "layers": 2,
        },
    }


def tiny_timm_config(name: str = "test_vit3", pool: str = "map") -> dict[str, Any]:
    """A CLIP with a narrow timm tower; by default SigLIP-like: no class token, attention pooling.

    `test_vit` has a class token, `test_vit2` a register token and layer scales.
    """
    return {
        "embed_dim": 96 if name == "test_vit3" else 64,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": name,
            "timm_model_pretrained": False,
            "timm_pool": pool,
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 20,
            "vocab_size": 100,
            "width": 32,
            "heads": 2,
            "layers": 2,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
        },
    }


def named_config(name: str, **changes: Any) -> dict[str, Any]:
    """The configuration open_clip ships for an architecture."""
    config = copy.deepcopy(open_clip.get_model_config(name))
    return {**config, **changes}


def build(config: dict[str, Any], scale: float = 1.0) -> torch.nn.Module:
    """An open_clip model in evaluation mode, filled by formula."""
    return fill_fast(build_model(config), scale)


def build_siglip() -> torch.nn.Module:
    """A SigLIP image tower (no prefix tokens, attention pooling) of two narrow blocks."""
    model = build_model(tiny_timm_config())
    model.visual.trunk = TimmViT(
        img_size=32,
        patch_size=8,
        embed_dim=96,
        depth=2,
        num_heads=3,
        class_token=False,
        global_pool="map",
        num_classes=0,
    )
    return fill_fast(model)


def build_large(config: dict[str, Any], scale: float = 0.8) -> torch.nn.Module:
    """The same without the random initialisation, which is slow at full size."""
    with torch.device("meta"):
        model = build_model(config)
    causal = getattr(model, "attn_mask", None) is not None
    model = model.to_empty(device="cpu")
    if causal:
        length = model.context_length
        model.attn_mask = torch.full((length, length), -torch.inf).triu_(1)
    return fill_fast(model, scale)


def tiny_vit(scale: float = 1.0, **vision: Any) -> tuple[torch.nn.Module, DenseViT]:
    """A tiny open_clip model and the dense view of its image tower."""
    model = build(tiny_config(**vision), scale)
    return model, DenseViT(model.visual).eval()


def images(height: int, width: int, batch: int = 2) -> torch.Tensor:
    """(B, 3, h, w) made-up preprocessed pictures, smooth, each different."""
    ys = torch.linspace(0, 3, height).view(1, 1, -1, 1)
    xs = torch.linspace(0, 4, width).view(1, 1, 1, -1)
    phase = torch.arange(batch * 3).view(batch, 3, 1, 1) * 1.3
    return torch.sin(ys * (1 + phase) + xs * 2 + phase) + 0.3 * torch.cos(7 * xs * ys)


def tokens(length: int, vocabulary: int, ends: Iterable[int]) -> torch.Tensor:
    """(P, L) token ids: a start, words, an end of text with the largest id, then padding."""
    rows = []
    for number, end in enumerate(ends):
        row = torch.zeros(length, dtype=torch.int64)
        row[0] = vocabulary - 2
        row[1:end] = (torch.arange(1, end) * 37 + number * 11) % (vocabulary - 3) + 1
        row[end] = vocabulary - 1
        rows.append(row)
    return torch.stack(rows)
