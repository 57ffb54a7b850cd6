"""Patch grouping and dense region scores on OV-COCO, ViT-B/16 of OpenAI, nothing trained.

Paper: ours; protocol of Bansal et al., "Zero-Shot Object Detection", ECCV 2018, arXiv:1804.04340.
Data: COCO `val2017/` and `annotations/instances_val2017.json` in data/coco.
Command: python tools/test.py configs/detect/regions_vitb16_ov_coco.py --data-root data/coco
Expected: not run here. For scale, detectors trained on the base boxes: CLIPSelf's F-ViT 37.6 novel
AP50. No randomness.
Minutes: about 20 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_coco import *
