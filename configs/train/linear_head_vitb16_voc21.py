"""A linear head on patches on ViT-B/16, from Pascal VOC 2012 train.

Paper: after Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024,
arXiv:2304.07193, whose linear evaluation has the same form; without its batch norm.
AdamW at 1e-3, batches of 16, pictures of 448; the masks are learned.
Data: data/README.md, "Pascal VOC".
Command: dense train configs/train/linear_head_vitb16_voc21.py
Expected: not measured yet; then configs/segment/linear_head_vitb16_voc21.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_voc21 import *

model["method"].update(name="linear-head", kind="linear")
