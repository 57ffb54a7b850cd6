"""CorrCLIP with ViT-B/16 on Pascal VOC 2012 val, 20 classes and background.

Paper: Zhang et al., "CorrCLIP: Reconstructing Patch Correlations in CLIP for Open-Vocabulary
Semantic Segmentation", ICCV 2025, arXiv:2411.10086.
Protocol: short side 336, windows of 336 every 112 pixels, scale 40. DINO ViT-B/8 comes from
timm, SAM ViT-B (SAM 2 in the paper) from its authors' file data/weights/sam_vit_b_01ec64.pth.
Data: data/README.md, "Pascal VOC".
Command: python tools/test.py configs/segment/corrclip_vitb16_voc21.py
Expected: published 69.2 mIoU without the vote of masks (table of OV-Stitcher, CVPR 2026); ours is
not measured yet. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_voc21 import *

model["method"].update(
    method="corrclip",
    settings=dict(
        provider="dino-b8",
        regions="sam-b",
        regions_weights="data/weights/sam_vit_b_01ec64.pth",
    ),
    crop=336,
    stride=112,
    threshold=0.2,
    batch_size=1,
)
