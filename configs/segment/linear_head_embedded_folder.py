"""A linear head on patches on anyone's own pictures with masks, with the packaged model.

Paper: after Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024,
arXiv:2304.07193, whose linear evaluation has the same form; without its batch norm.
The head is that of configs/train/linear_head_embedded.py, with its input size.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/linear_head_embedded_folder.py --data-root MY_DATA
Expected: depends on the data. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(
    method="linear-head",
    settings=dict(weights="work_dirs/linear_head_embedded/learned.safetensors"),
)
