"""Shared by region alignment: photos, grids, the accuracy guard, AdamW; CLIPSelf's recipe."""

from mmengine.config import read_base

with read_base():
    from .training import *

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets.photos import PhotoFolder
from dense.engine.export_hook import ExportHook
from dense.engine.factories import clip
from dense.engine.guard import AccuracyGuardHook, guard_pictures
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.region_stage import region_loader, region_student
from dense.training.region_settings import RegionSettings, RegionTerms
from dense.training.region_views import RegionRule

data_root = "data/photos"
guard = data_root
base_model = "embedded-base"
iterations = 1000

kept_for_tests = ["imagenet_samples"]
photos = dict(type=PhotoFolder, root=data_root, without=kept_for_tests)
student = dict(type=clip, name=base_model)
model = dict(
    type=RunnerModel,
    method=dict(
        type=region_student,
        backbone=student,
        terms=dict(type=RegionTerms, content=1.0),
        settings=dict(type=RegionSettings, share=0.7, precision="bf16"),
        learn=None,
    ),
)
train_dataloader = dict(
    type=region_loader,
    photos=photos,
    rule=dict(type=RegionRule, side=336, crop=168, count=12, seed=0),
    batch_size=8,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-5, weight_decay=0.1, betas=(0.9, 0.98)),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, end=50),
    dict(type=CosineAnnealingLR, eta_min_ratio=0.0, by_epoch=False, T_max=iterations),
]
train_cfg.update(max_iters=iterations)
held = dict(
    type=AccuracyGuardHook,
    pictures=dict(type=guard_pictures, source=guard, without=kept_for_tests),
    bound=1.0,
    every=200,
    action="lower",
)
export = dict(type=ExportHook, model=base_model)
custom_hooks = [held, export]
