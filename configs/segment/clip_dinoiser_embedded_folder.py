"""CLIP-DINOiser on anyone's own pictures with masks, with the packaged model.

Paper: Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary
semantic segmentation", ECCV 2024, arXiv:2312.12359.
The learned parts are those of configs/train/clip_dinoiser_embedded.py.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/clip_dinoiser_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(
    method="clip-dinoiser",
    settings=dict(weights="work_dirs/clip_dinoiser_embedded/learned.safetensors"),
)
