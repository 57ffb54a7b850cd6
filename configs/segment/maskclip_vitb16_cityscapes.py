"""MaskCLIP with ViT-B/16 on Cityscapes val, 19 classes.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071.
Protocol: short side 560, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Cityscapes".
Command: python tools/test.py configs/segment/maskclip_vitb16_cityscapes.py
Expected: not measured yet, nor published under this protocol. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_cityscapes import *

model["method"].update(method="maskclip")
