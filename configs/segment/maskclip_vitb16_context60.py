"""MaskCLIP with ViT-B/16 on Pascal Context val, 59 classes and background.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal Context".
Command: python tools/test.py configs/segment/maskclip_vitb16_context60.py
Expected: published 23.2 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_context60 import *

model["method"].update(method="maskclip")
