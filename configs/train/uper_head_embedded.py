"""UPerNet on patches on the packaged model, from anyone's own pictures with masks.

Paper: Xiao et al., "Unified Perceptual Parsing for Scene Understanding", ECCV 2018,
arXiv:1807.10221.
AdamW at 1e-3, batches of 8, pictures of 336; the masks are learned.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: dense train configs/train/uper_head_embedded.py --data-root MY_DATA
Expected: the losses fall; then configs/segment/uper_head_embedded_folder.py. Seed 0.
Minutes: about 20 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_folder import *

model["method"].update(name="uper-head", kind="uper", layers=(0.25, 0.5, 0.75, 1.0))
