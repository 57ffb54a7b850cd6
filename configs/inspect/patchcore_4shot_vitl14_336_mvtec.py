"""PatchCore with ViT-L/14 at 336 pixels on MVTec AD, 4 shots.

Paper: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022,
arXiv:2106.08265.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/patchcore_4shot_vitl14_336_mvtec.py
Expected: not run here; the paper's own backbone (WideResNet50, all pictures) has image AUROC 99.2,
pixel AUROC 98.1, PRO 94.4.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspect_4shot_vitl14_336_mvtec import *

model["method"].update(name="patchcore")
