"""MaskCLIP, smoothed and denoised, with ViT-B/16 on COCO-Object val2017, 80 things and background.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071,
key smoothing and prompt denoising at the authors' settings.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "COCO-Object and COCO-Stuff".
Command: python tools/test.py configs/segment/maskclip_refined_vitb16_coco_object.py
Expected: not measured yet, nor published under this protocol. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_coco_object import *

model["method"].update(method="maskclip-refined")
