"""UPerNet on patches on ViT-B/16, from Pascal VOC 2012 train.

Paper: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
arXiv:1807.10221.
AdamW at 1e-3, batches of 16, pictures of 448; the masks are learned.
Data: data/README.md, "Pascal VOC".
Command: dense train configs/train/uper_head_vitb16_voc21.py
Expected: not measured yet; then configs/segment/uper_head_vitb16_voc21.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_voc21 import *

model["method"].update(name="uper-head", kind="uper", layers=(0.25, 0.5, 0.75, 1.0))
