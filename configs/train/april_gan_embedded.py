"""APRIL-GAN's linear layers on the packaged model, learned from drawn defects: no data needed.

Paper: Chen et al., "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation Method for
CVPR 2023 VAND Workshop Challenge Tracks 1&2", arXiv:2305.17382. Adam at 1e-3 (.5, .999), batches
of 8, focal and Dice losses of every layer, mosaics at a rate of .2 (none on VisA); the pictures
are ours.
Data: none; surfaces, parts and their defects are drawn (`dense.training.states.DefectPairs`).
Command: dense train configs/train/april_gan_embedded.py
Expected: the losses fall; then `dense inspect parts/ --product "metal nut" --method april-gan
--weights work_dirs/april_gan_embedded/learned.safetensors`. Seed 0.
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
from dense.methods.anomaly.april_gan import AprilGanInspector, AprilGanSettings
from dense.methods.anomaly.training import InspectorTraining

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AprilGanInspector,
            backbone=dict(type=clip, name="embedded"),
            products=dict(),
            settings=dict(type=AprilGanSettings, input_size=224),
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
