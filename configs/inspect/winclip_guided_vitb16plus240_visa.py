"""WinCLIP with ViT-B/16+ at 240 pixels on VisA, zero-shot, guided to suspicious places.

Paper: Jeong et al., "WinCLIP", CVPR 2023, arXiv:2303.14814; guided cropping after
Saranrittichai et al., "GC-CLIP", arXiv:2309.06581. The combination is ours.
Data: data/README.md, "VisA".
Command: python tools/test.py configs/inspect/winclip_guided_vitb16plus240_visa.py
Expected: not measured yet. No randomness.
Minutes: not measured yet; five times the work of configs/inspect/winclip_vitb16plus240_visa.py.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_vitb16plus240_visa import *

from dense.engine.factories import inspection_method

_plain = model["method"]
model.update(
    method=dict(
        type=inspection_method,
        name="winclip+guided",
        backbone=_plain["backbone"],
        products=_plain["products"],
    )
)
