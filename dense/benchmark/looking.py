"""What looking closer costs: crops in one batch, crops in feature space, prompts of SAM."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch

from dense.backbones import DenseViT
from dense.benchmark import DENSE_MODEL, Row, format_seconds, pair_row, time_pairs
from dense.benchmark.models import picture, random_backbone
from dense.methods.batching import encode_pictures
from dense.methods.looking.attention_selection import crop_tokens
from dense.structures import Size

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

CROPS, FEATURE_CROPS = 16, 50
BATCH_BAR, FEATURE_BAR = 1.05, 0.20
PROMPT_SECONDS, CORES = 0.3, 2


def measure_looking(quick: bool) -> list[Row]:
    """Crops of both kinds, and a prompt on a picture that SAM has seen before."""
    rows = [_batched(quick), _feature_crops(quick)]
    if importlib.util.find_spec("segment_anything") is None:
        return [*rows, Row("prompt of SAM", "", "", None, None, "segment-anything is missing")]
    return [*rows, _prompt(quick)]


@torch.inference_mode()
def _batched(quick: bool) -> Row:
    backbone = random_backbone(DENSE_MODEL, quick=quick)
    crops = [picture(60 + number, 80) for number in range(CROPS)]
    pairs = time_pairs(
        lambda: encode_pictures(backbone, crops),
        lambda: encode_pictures(backbone, crops, at_once=1),
        3 if quick else 5,
    )
    note = f"the same one by one, {backbone.name}"
    return pair_row(f"{CROPS} crops in one batch", pairs, None if quick else BATCH_BAR, note)


@torch.inference_mode()
def _feature_crops(quick: bool) -> Row:
    backbone = random_backbone(DENSE_MODEL, quick=quick)
    vit, batch = backbone.vit, torch.randn(1, 3, *backbone.image_size)
    trace = vit.trace(batch)
    gh, gw = trace.layout.grid
    low = torch.randint(0, min(gh, gw) // 2, (1, FEATURE_CROPS, 2))
    crops = torch.cat([low, low + min(gh, gw) // 2], -1)
    pairs = time_pairs(
        lambda: crop_tokens(vit, trace, crops),
        lambda: vit.encode_image(batch),
        3 if quick else 15,
    )
    share = crop_cost(vit, (gh, gw), FEATURE_CROPS)
    note = f"one forward of {backbone.name}; {share:.1%} of its multiplications"
    name = f"{FEATURE_CROPS} crops in feature space"
    return pair_row(name, pairs, None if quick else FEATURE_BAR, note)


def crop_cost(vit: DenseViT, grid: Size, crops: int) -> float:
    """Multiplications of `crop_tokens` over those of the tower's forward pass.

    A crop is one query: attention to all T tokens (2 T C), its projection (C²), the feed-forward
    branch (8 C² at the usual ratio) and the projection to the joint space (C D). A block takes
    T (12 C² + 2 T C).
    """
    width, tokens = vit.tower.width, vit.tower.prefix + grid[0] * grid[1]
    crop = 2 * tokens * width + 9 * width**2 + width * vit.joint_dim
    block = tokens * (12 * width**2 + 2 * tokens * width)
    return crops * crop / (vit.num_blocks * block)


def _prompt(quick: bool) -> Row:
    """The bar is a time, not a ratio: the least of some calls, since pauses only add to it."""
    from dense.providers.sam_cutter import SamCutter
    from dense.refine.cut import Prompt

    cutter, image = SamCutter(_random_sam(quick)), picture(480, 640)
    prompt = Prompt(box=np.array([100, 80, 400, 300], np.float32))
    with _threads(CORES):
        first = _took(lambda: cutter.cut(image, prompt))
        best = min(_took(lambda: cutter.cut(image, prompt)) for _ in range(2 if quick else 9))
    note = f"SAM ViT-B, {CORES} threads; the first prompt, which encodes: {format_seconds(first)}"
    name = "prompt of SAM on a known picture"
    bar = None if quick else 1.0
    return Row(
        name,
        format_seconds(best),
        format_seconds(PROMPT_SECONDS),
        best / PROMPT_SECONDS,
        bar,
        note,
    )


def _random_sam(quick: bool) -> Sam:
    """SAM's ViT-B with random weights; `quick` has an encoder of one narrow block."""
    from segment_anything import sam_model_registry
    from segment_anything.modeling import ImageEncoderViT

    torch.manual_seed(0)
    model = sam_model_registry["vit_b"]()
    if quick:
        model.image_encoder = ImageEncoderViT(depth=1, embed_dim=32, num_heads=1, window_size=14)
    return model


def _took(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
