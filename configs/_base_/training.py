"""Shared by training configs: loop by iterations, log, checkpoints, averaged weights."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from mmengine.hooks import (
    CheckpointHook,
    DistSamplerSeedHook,
    IterTimerHook,
    LoggerHook,
    ParamSchedulerHook,
    RuntimeInfoHook,
)
from mmengine.runner import IterBasedTrainLoop

log_processor = dict(by_epoch=False, window_size=20)
default_hooks = dict(
    runtime_info=dict(type=RuntimeInfoHook),
    timer=dict(type=IterTimerHook),
    sampler_seed=dict(type=DistSamplerSeedHook),
    param_scheduler=dict(type=ParamSchedulerHook),
    logger=dict(type=LoggerHook, interval=20, log_metric_by_epoch=False),
    checkpoint=dict(type=CheckpointHook, by_epoch=False, interval=200, max_keep_ckpts=1),
)
train_cfg = dict(type=IterBasedTrainLoop, max_iters=1000)
