"""The measurements that need a model; see `dense.benchmark`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block
from dense.backbones.linear import linear
from dense.backbones.loading import build_model
from dense.backbones.preprocess import PreprocessConfig
from dense.benchmark import DENSE_MODEL, QUICK_MODEL, Row, pair_row, time_pairs
from dense.classifier import build_text_classifier
from dense.methods.segmentation.protocol import SegmentProtocol
from dense.methods.segmentor import OpenVocabSegmentor
from dense.structures import Sample

import open_clip  # isort: skip

FORWARD_BAR = 1.10


@functools.lru_cache(maxsize=1)
def random_backbone(name: str, *, quick: bool) -> CLIPBackbone:
    """An architecture with random weights, or the small stand-in."""
    torch.manual_seed(0)
    model = build_model(QUICK_MODEL if quick else open_clip.get_model_config(name))
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    return CLIPBackbone(model, tokenizer, PreprocessConfig(), name=name).eval()


def picture(height: int, width: int) -> np.ndarray:
    """(H, W, 3) uint8 stripes: times do not depend on what is shown."""
    ys, xs = np.ogrid[:height, :width]
    return np.stack([(ys * (c + 1) + xs * 3) % 251 for c in range(3)], -1).astype(np.uint8)


@torch.inference_mode()
def measure_forward(quick: bool) -> list[Row]:
    """Dense forward against open_clip's `encode_image` at the same tokens."""
    backbone = random_backbone(DENSE_MODEL, quick=quick)
    images = torch.randn(2, 3, *backbone.image_size)
    model: Any = backbone.model

    def peer() -> object:
        return model.encode_image(images)

    repeats, bar = (3, None) if quick else (9, FORWARD_BAR)
    rows = []
    for name in ("plain", "value"):
        ours = functools.partial(backbone.vit, images, last_block(name))
        pairs = time_pairs(ours, peer, repeats)
        note = f"open_clip encode_image, {backbone.name}, batch 2"
        rows.append(pair_row(f"dense forward, {name} attention", pairs, bar, note))
    return rows


@torch.inference_mode()
def measure_linear(quick: bool) -> list[Row]:
    """Our route (oneDNN where it works) against PyTorch's own choice for a linear layer."""
    rows = []
    for tokens, width in ((197, 768), (1280, 896)):
        x, weight = torch.randn(tokens, width), torch.randn(4 * width, width)
        ours = functools.partial(linear, x, weight)
        pairs = time_pairs(ours, functools.partial(F.linear, x, weight), 5 if quick else 15)
        rate = 2 * tokens * width * 4 * width / min(pairs.ours) / 1e9
        name = f"linear {tokens} x {width} -> {4 * width}"
        rows.append(pair_row(name, pairs, None, f"torch linear; ours {rate:.0f} GFLOP/s"))
    return rows


def segment_large(side: int, quick: bool) -> None:
    """Segment a large square picture through sliding windows at its own resolution."""
    backbone = random_backbone(DENSE_MODEL, quick=quick)
    names = [f"thing {number}" for number in range(21)]
    classifier = build_text_classifier(backbone, names, templates="plain")
    crop = min(backbone.image_size) * 2
    protocol = SegmentProtocol(short_side=side, crop=crop, stride=crop)
    segmentor = OpenVocabSegmentor(backbone, classifier, protocol=protocol, batch_size=1)
    segmentor.predict([Sample(picture(side, side))])
