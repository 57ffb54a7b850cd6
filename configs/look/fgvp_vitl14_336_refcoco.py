"""FGVP: contour, grey and blurred outside the mask, on RefCOCO.

Paper: Yang et al., NeurIPS 2023, arXiv:2306.04356.
Data: data/README.md, "RefCOCO, RefCOCO+ and RefCOCOg"; phrases are found among the annotated boxes.
Command: dense evaluate configs/look/fgvp_vitl14_336_refcoco.py --data-root data/refer
Expected: not run here. Published with detector proposals and segment-anything's masks, ViT-L/14-336
and RN50x16 together and score subtraction: val 52.9. One backbone, annotated boxes and masks, no
subtraction here. Seed 0.
Minutes: about 15 on one GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_refcoco import *

model.method.backbone.update(name="ViT-L-14-336", pretrained="openai")
model.method.update(method="fgvp-ensemble")
