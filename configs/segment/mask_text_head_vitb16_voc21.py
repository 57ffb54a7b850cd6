"""The mask-text head on Pascal VOC 2012 val, with ViT-B/16.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
The head is that of configs/train/mask_text_head_vitb16_voc21.py, with its input size.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/mask_text_head_vitb16_voc21.py
Expected: not measured yet. No randomness.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="mask-text-head",
    settings=dict(weights="work_dirs/mask_text_head_vitb16_voc21/learned.safetensors"),
    protocol="whole",
    threshold=0.0,
)
