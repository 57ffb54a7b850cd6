"""MaskCLIP+ on the packaged model, from anyone's own pictures.

Paper: Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071; the head is
DeepLabV3's on the frozen CLIP.
AdamW at 1e-3, batches of 8, pictures of 336; no mask is read; predictions of MaskCLIP are learned
first, then its own.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: dense train configs/train/maskclip_plus_embedded.py --data-root MY_DATA
Expected: the losses fall; then configs/segment/maskclip_plus_embedded_folder.py. Seed 0.
Minutes: about 20 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training_folder import *

model["method"].update(type=maskclip_plus_student, guided=500, teacher=None)
