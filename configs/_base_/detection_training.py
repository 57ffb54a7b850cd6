"""Shared by trainings of detectors: loop and log, AdamW as F-ViT's, the export of the parts."""

from mmengine.config import read_base

with read_base():
    from .training import *

from mmengine.optim import LinearLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets import DetectionFolder
from dense.datasets.class_subset import ClassSubset
from dense.engine.augment import detection_augment
from dense.engine.data import class_names, train_loader
from dense.engine.detection import detection_classes
from dense.engine.f_vit_settings import FViTSettings
from dense.engine.f_vit_stage import f_vit_student
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters

optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.1),
    clip_grad=dict(max_norm=35, norm_type=2),
)
param_scheduler = [dict(type=LinearLR, start_factor=0.001, by_epoch=False, end=250)]
custom_hooks = [dict(type=ExportLearnedHook, trained_on="pictures with boxes")]
