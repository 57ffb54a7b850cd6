"""CLIPer with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Sun et al., "CLIPer: Hierarchically Improving Spatial Representation of CLIP for
Open-Vocabulary Semantic Segmentation", ICCV 2025, arXiv:2411.13836.
Protocol: short side 336, windows of 224 every 112 pixels, scale 40, as SCLIP and its successors;
the authors' evaluation is their own (scale 100, class-wise thresholds).
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/cliper_vitb16_voc21.py
Expected: published 62.1 mIoU without the diffusion model (the authors' repository); ours is not
measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(method="cliper")
