"""SubspaceAD's recipe with ViT-L/14 at 336 pixels on MVTec AD, 4 shots.

Paper: "SubspaceAD", CVPR 2026.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/subspace_4shot_vitl14_336_mvtec.py
Expected: not run here; DINOv2 giant at 672 pixels has image AUROC 98.0 in the paper.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspect_4shot_vitl14_336_mvtec import *

model["method"].update(name="subspace")
