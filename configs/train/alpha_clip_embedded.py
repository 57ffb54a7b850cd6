"""Alpha-CLIP on the packaged model: regions and their words teach a fourth channel.

Paper: Sun et al., "Alpha-CLIP: A CLIP Model Focusing on Wherever You Want", CVPR 2024,
arXiv:2312.03818. AdamW, the alpha convolution at 2e-4 and the tower at a hundredth of it, a tenth
of the pictures with a full alpha channel; batches of 64 and 1,000 steps are ours.
Data: boxes with labels, `images/ instances.json`; masks are used with
`--cfg-options train_dataloader.source.masks=True model.method.source.masks=True`.
Command: dense train configs/train/alpha_clip_embedded.py --data-root MY_BOXES
Expected: not measured yet; compare by `dense compare MY_TEST --task look --methods plain crop
alpha-clip --weights alpha-clip=work_dirs/alpha_clip_embedded/alpha.safetensors`. Seed 0.
Minutes: about 90 on two cores with bfloat16 units (estimate), 3 on a GPU.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.training import *

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets import DetectionFolder
from dense.engine.alpha_stage import ExportAlphaHook, alpha_student, phrase_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.methods.looking.alpha_training import AlphaSettings
from dense.training.region_phrases import PhraseRule

data_root = "data/my_boxes"
iterations = 1000
regions = dict(type=DetectionFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=alpha_student,
        backbone=dict(type=clip, name="embedded"),
        source=regions,
        settings=dict(type=AlphaSettings, precision="bf16"),
    ),
)
train_dataloader = dict(
    type=phrase_loader,
    source=regions,
    rule=dict(type=PhraseRule, side=224, whole=0.1, seed=0),
    batch_size=64,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=2e-6, weight_decay=0.02, betas=(0.9, 0.98)),
    paramwise_cfg=dict(rates={"conv1.alpha": 100.0}),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.01, by_epoch=False, end=100),
    dict(type=CosineAnnealingLR, eta_min_ratio=0.0, by_epoch=False, T_max=iterations),
]
train_cfg.update(max_iters=iterations)
custom_hooks = [dict(type=ExportAlphaHook)]
