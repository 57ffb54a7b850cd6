"""Words and patch memory together with ViT-L/14 at 336 pixels on MVTec AD, 4 shots.

Paper: ours, after Jeong et al., "WinCLIP", CVPR 2023, arXiv:2303.14814.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/words_memory_4shot_vitl14_336_mvtec.py
Expected: not run here; WinCLIP+ has image AUROC 95.2, pixel AUROC 96.2, PRO 89.0 in its paper.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspect_4shot_vitl14_336_mvtec import *

model["method"].update(name="words-memory")
