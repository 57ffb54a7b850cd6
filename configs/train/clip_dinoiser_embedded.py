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
    from .._base_.training import *

from mmengine.optim import MultiStepLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets.photos import PhotoFolder
from dense.engine.augment import train_augment
from dense.engine.data import train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.segment_stage import dinoiser_student

data_root = "data/photos"
model = dict(
    type=RunnerModel,
    method=dict(
        type=dinoiser_student,
        backbone=dict(type=clip, name="embedded"),
        teacher="clip",
        side=336,
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dict(type=PhotoFolder, root=data_root),
    batch_size=8,
    num_workers=2,
    augment=dict(type=train_augment, size=(336, 336)),
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=5e-5),
    paramwise_cfg=dict(rates={"foreground": 200.0}),
)
param_scheduler = [dict(type=MultiStepLR, milestones=[400], gamma=0.1, by_epoch=False)]
train_cfg.update(max_iters=500)
custom_hooks = [dict(type=ExportLearnedHook, trained_on="photographs without labels")]
