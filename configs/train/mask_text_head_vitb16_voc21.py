"""The mask-text head on ViT-B/16, from Pascal VOC 2012 train.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
AdamW at 1e-3, batches of 16, pictures of 448; the masks are learned.
Data: data/README.md, "Pascal VOC".
Command: dense train configs/train/mask_text_head_vitb16_voc21.py
Expected: not measured yet; then configs/segment/mask_text_head_vitb16_voc21.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_voc21 import *

model["method"].update(name="mask-text-head", kind="mask-text")
