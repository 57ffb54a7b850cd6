"""MaskCLIP+ on ViT-B/16, from Pascal VOC 2012 train without its masks.

Paper: Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071; the head is
DeepLabV3's on the frozen CLIP.
AdamW at 1e-3, batches of 16, pictures of 448, 2,000 steps as in the paper, half of them guided;
no mask is read; predictions of MaskCLIP are learned first, then its own.
Data: data/README.md, "Pascal VOC".
Command: dense train configs/train/maskclip_plus_vitb16_voc21.py
Expected: not measured yet; then configs/segment/maskclip_plus_vitb16_voc21.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_voc21 import *

model["method"].update(type=maskclip_plus_student, guided=1000)
