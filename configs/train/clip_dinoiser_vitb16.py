"""CLIP-DINOiser's convolutions on ViT-B/16, the authors' recipe but for the foreground teacher.

Paper: Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary
semantic segmentation", ECCV 2024, arXiv:2312.12359.
AdamW at 5e-5 (1e-2 for the foreground), batches of 16, 100 epochs of 1,000 pictures, crops of 448;
the rate falls by ten after 5,000 iterations. The correlation teacher is DINO ViT-B/16 from timm;
the foreground teacher is LOST's rule in place of FOUND.
Data: a folder of 1,000 photographs, the authors took ImageNet's; no labels.
Command: dense train configs/train/clip_dinoiser_vitb16.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: the authors need 180 on one GPU.
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

data_root = "data/imagenet_1000"
model = dict(
    type=RunnerModel,
    method=dict(
        type=dinoiser_student,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="laion2b_s34b_b88k"),
        teacher="dino-b16",
        side=448,
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dict(type=PhotoFolder, root=data_root),
    batch_size=16,
    num_workers=2,
    augment=dict(type=train_augment, size=(448, 448)),
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=5e-5),
    paramwise_cfg=dict(rates={"foreground": 200.0}),
)
param_scheduler = [dict(type=MultiStepLR, milestones=[5000], gamma=0.1, by_epoch=False)]
train_cfg.update(max_iters=6250)
custom_hooks = [dict(type=ExportLearnedHook, trained_on="photographs without labels")]
