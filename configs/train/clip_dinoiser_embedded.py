"""CLIP-DINOiser's convolutions on the packaged model, from anyone's photographs without labels.

Paper: Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary
semantic segmentation", ECCV 2024, arXiv:2312.12359.
The teacher is the packaged model's own middle blocks, which need no further files; the paper's is
DINO (`--cfg-options model.method.teacher=dino-b16`).
Data: any folder of photographs.
Command: dense train configs/train/clip_dinoiser_embedded.py --data-root PHOTOS
Expected: the losses fall; then configs/segment/clip_dinoiser_embedded_folder.py. Seed 0.
Minutes: about 15 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.dinoiser_training import *

data_root = "data/photos"
model["method"].update(
    backbone=dict(type=clip, name="embedded"),
    teacher="clip",
    side=336,
)
train_dataloader["dataset"].update(root=data_root)
train_dataloader["augment"].update(size=(336, 336))
train_dataloader.update(batch_size=8)
param_scheduler[0].update(milestones=[400])
train_cfg.update(max_iters=500)
