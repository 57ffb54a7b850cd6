"""NACLIP with ViT-B/16 on COCO-Object val2017, 80 things and background.

Paper: Hajimiri et al., "Pay Attention to Your Neighbours: Training-Free Open-Vocabulary Semantic
Segmentation", WACV 2025, arXiv:2404.08181.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "COCO-Object and COCO-Stuff".
Command: python tools/test.py configs/segment/naclip_vitb16_coco_object.py
Expected: published 33.2 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_coco_object import *

model["method"].update(method="naclip")
