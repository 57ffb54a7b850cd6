"""MaskCLIP+ on Pascal VOC 2012 val, with ViT-B/16.

Paper: Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071; the head is
DeepLabV3's on the frozen CLIP.
The head is that of configs/train/maskclip_plus_vitb16_voc21.py, with its input size.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/maskclip_plus_vitb16_voc21.py
Expected: not measured yet. No randomness.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="maskclip-plus",
    settings=dict(weights="work_dirs/maskclip_plus_vitb16_voc21/learned.safetensors"),
    protocol="whole",
    threshold=0.0,
)
