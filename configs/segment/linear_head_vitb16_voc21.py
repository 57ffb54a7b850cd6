"""A linear head on patches on Pascal VOC 2012 val, with ViT-B/16.

Paper: after Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024,
arXiv:2304.07193, whose linear evaluation has the same form; without its batch norm.
The head is that of configs/train/linear_head_vitb16_voc21.py, with its input size.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/linear_head_vitb16_voc21.py
Expected: not measured yet. No randomness.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="linear-head",
    settings=dict(weights="work_dirs/linear_head_vitb16_voc21/learned.safetensors"),
    protocol="whole",
    threshold=0.0,
)
