"""CLIP, last block as trained, with ViT-B/16 on Pascal Context val, 59 classes and background.

Paper: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021, arXiv:2103.00020.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal Context".
Command: python tools/test.py configs/segment/clip_vitb16_context60.py
Expected: published 7.8 mIoU (table of OV-Stitcher, CVPR 2026, thresholds by method); ours
is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_context60 import *

model["method"].update(method="clip")
