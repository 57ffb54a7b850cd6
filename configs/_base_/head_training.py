"""Shared by trainings of decode heads: model, loop and log, AdamW, the export of the head."""

from mmengine.config import read_base

with read_base():
    from .training import *

from mmengine.optim import OptimWrapper, PolyLR
from torch.optim import AdamW

from dense.engine.augment import train_augment
from dense.engine.data import class_names, train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.segment_stage import head_student, maskclip_plus_student

model = dict(type=RunnerModel, method=dict(type=head_student))
train_dataloader = dict(type=train_loader, augment=dict(type=train_augment))
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-3, weight_decay=0.01),
)
param_scheduler = [dict(type=PolyLR, power=0.9, by_epoch=False, begin=0, end=1000)]
custom_hooks = [dict(type=ExportLearnedHook, trained_on="pictures with masks")]
