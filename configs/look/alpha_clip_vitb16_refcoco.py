"""Alpha-CLIP on RefCOCO.

Paper: Sun et al., CVPR 2024, arXiv:2312.03818.
Data: data/README.md, "RefCOCO, RefCOCO+ and RefCOCOg"; phrases are found among the annotated boxes.
Command: dense evaluate configs/look/alpha_clip_vitb16_refcoco.py --data-root data/refer
Expected: not run here. The file is the authors' `clip_b16_grit1m+mim_fultune_4xe.pth`; their table
adds ReCLIP's parser. Seed 0.
Minutes: about 15 on one GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_refcoco import *

model.method.backbone.update(name="ViT-B-16")
model.method.update(method="alpha-clip", weights="weights/clip_b16_grit1m+mim_fultune_4xe.pth")
