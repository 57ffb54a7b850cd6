"""What regions cost beside the tower: pooling and naming of boxes, a step of CLIPSelf."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch.nn import functional as F

from dense.backbones import last_block
from dense.benchmark import DENSE_MODEL, Row, pair_row, time_pairs
from dense.benchmark.models import picture, random_backbone
from dense.methods.detection.scoring import region_scores
from dense.methods.region_training import RegionTraining, dense_of
from dense.regions import pool_boxes
from dense.structures import Sample, TextClassifier
from dense.training.region_settings import RegionTerms
from dense.training.region_views import RegionRule

BOXES, NAMES = 1000, 80
POOL_BAR, STEP_BAR = 0.10, 1.10


def measure_regions(quick: bool) -> list[Row]:
    """Pooling against one forward, and a training step against its bare towers."""
    return [_pooling(quick), _step(quick)]


@torch.inference_mode()
def _pooling(quick: bool) -> Row:
    backbone = random_backbone(DENSE_MODEL, quick=quick)
    side = backbone.image_size[0] * (1 if quick else 2)
    images, block = torch.randn(1, 3, side, side), last_block("value")
    dense = backbone.vit(images, block).dense[0]
    low = torch.rand(BOXES, 2) * dense.shape[1] * 0.7
    boxes = torch.cat([low, low + 1 + torch.rand(BOXES, 2) * dense.shape[1] * 0.3], 1)
    weights = F.normalize(torch.randn(NAMES, backbone.joint_dim), dim=-1)
    classifier = TextClassifier(weights, tuple(f"thing {k}" for k in range(NAMES)))
    pairs = time_pairs(
        lambda: region_scores(pool_boxes(dense, boxes), classifier),
        lambda: backbone.vit(images, block),
        3 if quick else 9,
    )
    note = f"one forward of {backbone.name} at {side} px; {NAMES} names"
    return pair_row(f"pool and name {BOXES} boxes", pairs, None if quick else POOL_BAR, note)


def _step(quick: bool) -> Row:
    """The bare step runs the same tokens through student and teacher, and backwards."""
    backbone = copy.deepcopy(random_backbone(DENSE_MODEL, quick=quick))
    side = backbone.image_size[0]
    rule = RegionRule(side=side, crop=side, count=4)
    samples = [rule(Sample(picture(480, 640)), draw) for draw in range(2)]
    method = RegionTraining(backbone, RegionTerms(content=1.0))
    block, vit = last_block("value"), backbone.vit
    images = torch.randn(len(samples), 3, side, side)
    crops = torch.randn(int(np.sum([len(s.crops) for s in samples])), 3, side, side)

    def ours() -> None:
        method.loss(samples)["loss_content"].backward()

    def bare() -> None:
        with torch.no_grad():
            method.teacher.encode_image(crops)
        dense_of(vit, vit.trace(images), block).square().mean().backward()

    pairs = time_pairs(ours, bare, 3 if quick else 5)
    note = f"student and teacher alone, {backbone.name}, 2 pictures, {len(crops)} crops"
    return pair_row("step of CLIPSelf", pairs, None if quick else STEP_BAR, note)
