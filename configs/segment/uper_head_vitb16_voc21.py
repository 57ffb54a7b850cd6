"""UPerNet on patches on Pascal VOC 2012 val, with ViT-B/16.

Paper: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
arXiv:1807.10221.
The head is that of configs/train/uper_head_vitb16_voc21.py, with its input size.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/uper_head_vitb16_voc21.py
Expected: not measured yet. No randomness.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="uper-head",
    settings=dict(weights="work_dirs/uper_head_vitb16_voc21/learned.safetensors"),
    protocol="whole",
    threshold=0.0,
)
