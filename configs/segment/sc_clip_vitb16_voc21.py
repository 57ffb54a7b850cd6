"""SC-CLIP with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Bai et al., "Self-Calibrated CLIP for Training-Free Open-Vocabulary Segmentation",
arXiv:2411.15869.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/sc_clip_vitb16_voc21.py
Expected: published 64.6 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(method="sc-clip")
