"""Decomposition of heads with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Gandelsman et al., "Interpreting CLIP's Image Representation via Text-Based Decomposition",
ICLR 2024, arXiv:2310.05916.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
The paper cuts one object from its ground (ImageNet-Segmentation) and has no number for VOC.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/head_decomposition_vitb16_voc21.py
Expected: not published; ours is not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(method="head-decomposition")
