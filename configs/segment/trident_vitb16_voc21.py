"""Trident with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Shi et al., "Harnessing Vision Foundation Models for High-Performance, Training-Free Open
Vocabulary Segmentation", ICCV 2025, arXiv:2411.09219.
Protocol: short side 448, the whole picture at once (the method has windows of its own), scale
40. DINO ViT-B/16 comes from timm, SAM ViT-B from its authors' file
data/weights/sam_vit_b_01ec64.pth.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/trident_vitb16_voc21.py
Expected: published 67.1 mIoU with a last step, prompting SAM, that is not here (table of
OV-Stitcher, CVPR 2026); ours is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="trident",
    settings=dict(
        provider="dino-b16",
        aggregator="sam-b",
        aggregator_weights="data/weights/sam_vit_b_01ec64.pth",
    ),
    short_side=448,
    crop=2048,
    stride=1024,
    threshold=0.2,
    batch_size=1,
)
