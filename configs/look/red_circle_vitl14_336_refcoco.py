"""Red circle, grey and blurred outside, on RefCOCO.

Paper: Shtedritski et al., ICCV 2023, arXiv:2304.06712.
Data: data/README.md, "RefCOCO, RefCOCO+ and RefCOCOg"; phrases are found among the annotated boxes.
Command: dense evaluate configs/look/red_circle_vitl14_336_refcoco.py --data-root data/refer
Expected: not run here. Published with detector proposals, ViT-L/14-336 and RN50x16 together and
score subtraction: val 49.8 (51.4 as FGVP re-ran it). One backbone, annotated boxes, no subtraction
here. Seed 0.
Minutes: about 15 on one GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_refcoco import *

model.method.backbone.update(name="ViT-L-14-336", pretrained="openai")
model.method.update(method="red-circle-ensemble")
