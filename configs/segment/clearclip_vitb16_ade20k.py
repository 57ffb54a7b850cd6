"""ClearCLIP with ViT-B/16 on ADE20K validation, 150 classes.

Paper: Lan et al., "ClearCLIP: Decomposing CLIP Representations for Dense Vision-Language
Inference", ECCV 2024, arXiv:2407.12442.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "ADE20K".
Command: python tools/test.py configs/segment/clearclip_vitb16_ade20k.py
Expected: published 16.7 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_ade20k import *

model["method"].update(method="clearclip")
