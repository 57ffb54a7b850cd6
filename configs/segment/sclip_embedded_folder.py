"""SCLIP on anyone's own pictures with masks, with the packaged model.

Paper: Wang et al., "SCLIP: Rethinking Self-Attention for Dense Vision-Language Inference",
ECCV 2024, arXiv:2312.01597.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/sclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="sclip")
