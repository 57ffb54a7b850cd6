"""The measurements that need a model; see `dense.benchmark`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block, vit
from dense.backbones.linear import linear
from dense.backbones.loading import build_model
from dense.backbones.preprocess import PreprocessConfig
from dense.benchmark import DENSE_MODEL, QUICK_MODEL, WINDOW_MODEL, Row, pair_row, time_pairs
from dense.benchmark.peers import anomalib_winclip, drop_tokens
from dense.classifier import build_text_classifier
from dense.methods.anomaly.winclip import ANOMALIB, WinCLIPInspector
from dense.methods.segmentor import OpenVocabSegmentor
from dense.structures import Sample

import open_clip  # isort: skip

PRODUCT = "metal nut"
FASTER = 1 / 1.2
FORWARD_BAR = 1.10
FLOOR_BAR = 1.15


@functools.lru_cache(maxsize=1)
def random_backbone(name: str, *, quick: bool) -> CLIPBackbone:
    """An architecture with random weights, or the small stand-in."""
    torch.manual_seed(0)
    model = build_model(QUICK_MODEL if quick else open_clip.get_model_config(name))
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    return CLIPBackbone(model, tokenizer, PreprocessConfig(), name=name).eval()


def _picture(height: int, width: int) -> np.ndarray:
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
def measure_windows(quick: bool) -> list[Row]:
    """WinCLIP zero-shot against anomalib, a plain loop, and its own matrix products."""
    backbone = random_backbone(WINDOW_MODEL, quick=quick)
    inspector = WinCLIPInspector(backbone, PRODUCT, protocol=ANOMALIB)
    sample = Sample(_picture(*inspector.input_size))
    repeats = 2 if quick else 5
    image = backbone.to_batch([backbone.preprocess.to_tensor(sample.image)])

    def ours() -> object:
        return inspector.predict([sample])

    rows = [_anomalib_row(backbone, inspector, sample, repeats, None if quick else FASTER)]
    loop = functools.partial(drop_tokens, backbone.model.visual, image, inspector.windows)
    pairs = time_pairs(ours, loop, repeats)
    bar = None if quick else FASTER
    rows.append(pair_row("WinCLIP zero-shot", pairs, bar, "plain loop over open_clip's layers"))
    products, flops = window_products(inspector)
    pairs = time_pairs(ours, products, repeats)
    rate = flops / min(pairs.peer) / 1e9
    note = f"its matrix products alone: {flops / 1e12:.3f} TFLOP at {rate:.0f} GFLOP/s"
    rows.append(pair_row("WinCLIP over the floor", pairs, None if quick else FLOOR_BAR, note))
    return rows


def _anomalib_row(
    backbone: CLIPBackbone,
    inspector: WinCLIPInspector,
    sample: Sample,
    repeats: int,
    bar: float | None,
) -> Row:
    peer = anomalib_winclip(backbone.model, PRODUCT)
    if peer is None:
        note = "anomalib is not installed: pip install 'dense-clip[benchmark]'"
        return Row("WinCLIP zero-shot", "", "", None, bar, note)
    image = backbone.to_batch([backbone.preprocess.to_tensor(sample.image)])
    pairs = time_pairs(lambda: inspector.predict([sample]), lambda: peer(image), repeats)
    theirs = peer(image).anomaly_map[0].numpy()
    difference = np.abs(inspector.predict([sample])[0].anomaly_map - theirs).max()
    spread = np.ptp(theirs)
    note = f"anomalib, same weights; maps differ by {difference:.1e} of a range of {spread:.1e}"
    return pair_row("WinCLIP zero-shot", pairs, bar, note)


def window_products(inspector: WinCLIPInspector) -> tuple[Callable[[], None], int]:
    """The linear layers of one zero-shot prediction and nothing else, and their FLOP."""
    tower = inspector.backbone.vit.tower
    width, blocks = tower.width, len(tower.blocks)
    hidden = 4 * width
    whole = inspector.grid[0] * inspector.grid[1] + tower.prefix
    sizes = [_chunks(index, tower.prefix) for index in inspector.windows]
    tokens = [
        size * (index.shape[1] + tower.prefix)
        for index, parts in zip(inspector.windows, sizes, strict=True)
        for size in parts
    ]
    counts = [size for parts in sizes for size in parts]
    calls: list[tuple[int, int, int]] = [(whole, width, 3 * width)]  # (rows, in, out)
    for rows, windows in zip([*tokens, whole], [*counts, 1], strict=True):
        rest = [(rows, width, width), (rows, width, hidden), (rows, hidden, width)]
        calls += rest + [(rows, width, 3 * width), *rest] * (blocks - 2)
        calls += [(rows, width, 2 * width)] + [(windows, width, width)] * 2
        calls += [(windows, width, hidden), (windows, hidden, width)]
    inputs = {(r, i): torch.randn(r, i) for r, i, _ in calls}
    weights = {(i, o): torch.randn(o, i) for _, i, o in calls}
    route = _faster_route(inputs[max(tokens), width], weights[width, hidden])

    def products() -> None:
        for rows, i, o in calls:
            route(inputs[rows, i], weights[i, o])

    return products, sum(2 * r * i * o for r, i, o in calls)


def _chunks(index: Tensor, prefix: int) -> list[int]:
    step = max(1, vit.WINDOW_TOKENS // (index.shape[1] + prefix))
    return [len(part) for part in index.split(step)]


def _faster_route(x: Tensor, weight: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    pairs = time_pairs(lambda: linear(x, weight), lambda: F.linear(x, weight), 5)
    return linear if pairs.ratio < 1 else F.linear


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
    segmentor = OpenVocabSegmentor(
        backbone, classifier, short_side=side, crop=crop, stride=crop, batch_size=1
    )
    segmentor.predict([Sample(_picture(side, side))])
