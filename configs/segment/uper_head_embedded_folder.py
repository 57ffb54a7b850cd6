"""UPerNet on patches on anyone's own pictures with masks, with the packaged model.

Paper: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
arXiv:1807.10221.
The head is that of configs/train/uper_head_embedded.py, with its input size.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/uper_head_embedded_folder.py --data-root MY_DATA
Expected: depends on the data. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(
    method="uper-head",
    settings=dict(weights="work_dirs/uper_head_embedded/learned.safetensors"),
)
