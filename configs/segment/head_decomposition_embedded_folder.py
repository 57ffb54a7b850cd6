"""Text-based decomposition of heads on anyone's own pictures with masks, with the packaged model.

Paper: Gandelsman et al., "Interpreting CLIP's Image Representation via Text-Based Decomposition",
ICLR 2024, arXiv:2310.05916.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/head_decomposition_embedded_folder.py
    --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="head-decomposition")
