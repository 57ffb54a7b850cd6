"""WinCLIP with ViT-B/16+ on VisA, oblong pictures in squares of the short side, zero-shot.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814; the crops are described at `dense.methods.anomaly.winclip.SQUARE_CROPS`.
Data: data/README.md, "VisA".
Command: python tools/test.py configs/inspect/winclip_squares_vitb16plus240_visa.py
         WinCLIP+: add --shots 4 --seed 0
Expected: see docs. No randomness without support.
Minutes: see docs; about twice those of configs/inspect/winclip_vitb16plus240_visa.py.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_vitb16plus240_visa import *

from dense.methods.anomaly.tiles import Tiling
from dense.methods.anomaly.winclip import WindowProtocol

model["method"].update(protocol=dict(type=WindowProtocol, tiling=dict(type=Tiling, kind="square")))
