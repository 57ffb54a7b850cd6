"""ProxyCLIP with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Lan et al., "ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary
Segmentation", ECCV 2024, arXiv:2408.04883.
Protocol: short side 336, windows of 336 every 112 pixels, scale 40. DINO ViT-B/8 comes from timm.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/proxyclip_vitb16_voc21.py
Expected: published 61.3 mIoU (table of OV-Stitcher, CVPR 2026); ours is not measured yet. No
randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="proxyclip",
    settings=dict(provider="dino-b8"),
    crop=336,
    stride=112,
    threshold=0.2,
)
