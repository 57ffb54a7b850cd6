"""CLIP-DINOiser with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary
semantic segmentation", ECCV 2024, arXiv:2312.12359.
Protocol: short side 448, windows of 448 every 224 pixels, scale 100, as TCL. The learned parts are
those of configs/train/clip_dinoiser_vitb16.py.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/clip_dinoiser_vitb16_voc21.py
Expected: published 62.1 mIoU (tables of Trident and DeCLIP); ours is not measured yet. No
randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    backbone=dict(type=clip, name="ViT-B-16", pretrained="laion2b_s34b_b88k"),
    method="clip-dinoiser",
    settings=dict(weights="work_dirs/clip_dinoiser_vitb16/learned.safetensors"),
    protocol="tcl",
    threshold=0.0,
)
