"""A linear head on patches on the packaged model, from anyone's own pictures with masks.

Paper: after Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision", TMLR 2024,
arXiv:2304.07193, whose linear evaluation has the same form; without its batch norm.
AdamW at 1e-3, batches of 8, pictures of 336; the masks are learned.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: dense train configs/train/linear_head_embedded.py --data-root MY_DATA
Expected: the losses fall; then configs/segment/linear_head_embedded_folder.py. Seed 0.
Minutes: about 20 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_folder import *

model["method"].update(name="linear-head", kind="linear")
