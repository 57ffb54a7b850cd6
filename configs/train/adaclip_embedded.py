"""AdaCLIP's prompts and projections on the packaged model, learned from drawn defects alone.

Paper: Cao et al., "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for Zero-Shot Anomaly
Detection", ECCV 2024, arXiv:2407.15795. AdamW at 1e-2 (.5, .999), focal loss of the image, focal
and Dice losses of every layer, mosaics at a rate of .2 (none on VisA); the pictures are ours.
Data: none; surfaces, parts and their defects are drawn (`dense.training.states.DefectPairs`).
Command: dense train configs/train/adaclip_embedded.py
Expected: the losses fall; then `dense inspect parts/ --product "metal nut" --method adaclip
--weights work_dirs/adaclip_embedded/learned.safetensors`. Seed 0.
Minutes: about 10 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.learned_training import *

from mmengine.optim import OptimWrapper
from torch.optim import AdamW

from dense.engine.data import train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.methods.anomaly.adaclip import AdaCLIPInspector, AdaCLIPSettings
from dense.methods.anomaly.training import InspectorTraining

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AdaCLIPInspector,
            backbone=dict(type=clip, name="embedded"),
            products=dict(),
            settings=dict(type=AdaCLIPSettings, input_size=224),
        ),
    ),
)
train_dataloader = dict(type=train_loader, dataset=drawn, batch_size=1)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-2, weight_decay=0.01, betas=(0.5, 0.999)),
)
train_cfg.update(max_iters=600)
custom_hooks = [dict(type=ExportLearnedHook, trained_on="drawn defects")]
