"""GEM with ViT-B/16 on Pascal Context val, 59 classes and background.

Paper: Bousselham et al., "Grounding Everything: Emerging Localization Properties in
Vision-Language Transformers", CVPR 2024, arXiv:2312.00878.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors.
Data: data/README.md, "Pascal Context".
Command: python tools/test.py configs/segment/gem_vitb16_context60.py
Expected: not measured yet, nor published under this protocol. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_context60 import *

model["method"].update(method="gem")
