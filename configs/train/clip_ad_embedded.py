"""CLIP-AD SDP+'s linear layers on the packaged model, learned from drawn defects: no data needed.

Paper: Chen et al., "CLIP-AD: A Language-Guided Staged Dual-Path Model for Zero-shot Anomaly
Detection", arXiv:2311.00453. Adam at 1e-4, batches of 8, focal and Dice losses of every layer; the
pictures are ours.
Data: none; surfaces, parts and their defects are drawn (`dense.training.states.DefectPairs`).
Command: dense train configs/train/clip_ad_embedded.py
Expected: the losses fall; then `dense inspect parts/ --product "metal nut" --method clip-ad
--weights work_dirs/clip_ad_embedded/learned.safetensors`. Seed 0.
Minutes: about 10 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.learned_training import *

from mmengine.optim import OptimWrapper
from torch.optim import Adam

from dense.engine.data import train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.methods.anomaly.clip_ad import ClipAdInspector, ClipAdSettings
from dense.methods.anomaly.training import InspectorTraining

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=ClipAdInspector,
            backbone=dict(type=clip, name="embedded"),
            products=dict(),
            settings=dict(type=ClipAdSettings, adapters=True, input_size=224),
        ),
    ),
)
train_dataloader = dict(type=train_loader, dataset=drawn, batch_size=8)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=Adam, lr=1e-4),
)
train_cfg.update(max_iters=300)
custom_hooks = [dict(type=ExportLearnedHook, trained_on="drawn defects")]
