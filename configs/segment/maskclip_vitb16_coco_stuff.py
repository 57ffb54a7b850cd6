"""MaskCLIP with ViT-B/16 on COCO-Stuff 164k val2017, 171 classes.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "COCO-Object and COCO-Stuff".
Command: python tools/test.py configs/segment/maskclip_vitb16_coco_stuff.py
Expected: not measured yet, nor published under this protocol. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_coco_stuff import *

model["method"].update(method="maskclip")
