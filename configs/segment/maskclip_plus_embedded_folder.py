"""MaskCLIP+ on anyone's own pictures with masks, with the packaged model.

Paper: Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071; the head is
DeepLabV3's on the frozen CLIP.
The head is that of configs/train/maskclip_plus_embedded.py, with its input size.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/maskclip_plus_embedded_folder.py --data-root MY_DATA
Expected: depends on the data. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(
    method="maskclip-plus",
    settings=dict(weights="work_dirs/maskclip_plus_embedded/learned.safetensors"),
)
