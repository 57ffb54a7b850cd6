"""AnomalyDINO's recipe with ViT-L/14 at 336 pixels on MVTec AD, 4 shots.

Paper: Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2",
WACV 2025, arXiv:2405.14529.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/anomalydino_4shot_vitl14_336_mvtec.py
Expected: not run here; DINOv2 ViT-S/14 at 448 pixels has image AUROC 97.7 in the paper.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspect_4shot_vitl14_336_mvtec import *

model["method"].update(name="anomalydino")
