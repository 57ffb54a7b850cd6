"""FALIP on RefCOCO.

Paper: Zhuang et al., ECCV 2024, arXiv:2407.05578.
Data: data/README.md, "RefCOCO, RefCOCO+ and RefCOCOg"; phrases are found among the annotated boxes.
Command: dense evaluate configs/look/falip_vitb16_refcoco.py --data-root data/refer
Expected: not run here. The paper's table was not within reach. Seed 0.
Minutes: about 15 on one GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_refcoco import *

model.method.backbone.update(name="ViT-B-16")
model.method.update(method="falip")
