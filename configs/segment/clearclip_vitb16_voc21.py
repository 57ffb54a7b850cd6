"""ClearCLIP with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Lan et al., "ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language
Inference", ECCV 2024, arXiv:2407.12442.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/clearclip_vitb16_voc21.py
Expected: published 51.8 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(method="clearclip")
