"""NACLIP with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Hajimiri et al., "Pay Attention to Your Neighbours: Training-Free Open-Vocabulary Semantic
Segmentation", WACV 2025, arXiv:2404.08181.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/naclip_vitb16_voc21.py
Expected: published 58.9 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(method="naclip")
