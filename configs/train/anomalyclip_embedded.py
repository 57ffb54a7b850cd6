"""AnomalyCLIP's prompts on the packaged model, learned from drawn defects: no data needed.

Paper: Zhou et al., "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection",
ICLR 2024, arXiv:2310.18961. Adam at 1e-3 (.5, .999), batches of 8, cross-entropy of the image and
four times focal and Dice losses of the map; the pictures are ours.
Data: none; surfaces, parts and their defects are drawn (`dense.training.states.DefectPairs`).
Command: dense train configs/train/anomalyclip_embedded.py
Expected: the losses fall; then `dense inspect parts/ --product "metal nut" --method anomalyclip
--weights work_dirs/anomalyclip_embedded/learned.safetensors`. Seed 0.
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
from dense.methods.anomaly.anomalyclip import AnomalyCLIPInspector, AnomalyCLIPSettings
from dense.methods.anomaly.training import InspectorTraining

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AnomalyCLIPInspector,
            backbone=dict(type=clip, name="embedded"),
            products=dict(),
            settings=dict(type=AnomalyCLIPSettings, input_size=224),
        ),
    ),
)
train_dataloader = dict(type=train_loader, dataset=drawn, batch_size=8)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=Adam, lr=1e-3, betas=(0.5, 0.999)),
)
train_cfg.update(max_iters=300)
custom_hooks = [dict(type=ExportLearnedHook, trained_on="drawn defects")]
