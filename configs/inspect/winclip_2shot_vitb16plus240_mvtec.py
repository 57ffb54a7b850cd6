"""WinCLIP+ with ViT-B/16+ at 240 pixels on MVTec AD, two normal pictures of each category.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814, table 1. Maps are scored at original resolution.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/winclip_2shot_vitb16plus240_mvtec.py
         another draw of the support: add --seed 1
Expected: see docs; depends on the seed of the support (0).
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_vitb16plus240_mvtec import *

support.update(shots=2)
