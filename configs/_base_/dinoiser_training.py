"""Shared by trainings of CLIP-DINOiser's convolutions: loop and log, AdamW, photos, the export."""

from mmengine.config import read_base

with read_base():
    from .training import *

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

model = dict(type=RunnerModel, method=dict(type=dinoiser_student))
train_dataloader = dict(
    type=train_loader,
    dataset=dict(type=PhotoFolder),
    num_workers=2,
    augment=dict(type=train_augment),
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=5e-5),
    paramwise_cfg=dict(rates={"foreground": 200.0}),
)
param_scheduler = [dict(type=MultiStepLR, gamma=0.1, by_epoch=False)]
custom_hooks = [dict(type=ExportLearnedHook, trained_on="photographs without labels")]
