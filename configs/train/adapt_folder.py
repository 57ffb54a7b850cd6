"""Adapt the packaged model to one's own photos: captions, text files beside them, or class folders.

Paper: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021, arXiv:2103.00020; feature mimicry against forgetting after Yang et al., "CLIP-KD",
CVPR 2024, arXiv:2307.12732.
Data: any of the three layouts of docs/training.md, "Adapt to your own photos".
Command: dense train configs/train/adapt_folder.py --data-root MY_PHOTOS
Expected: depends on the photos; the losses fall. Then `--model
work_dirs/adapt_folder/model.safetensors` in any command. Seed 0.
Minutes: 10 on two cores, 1 on a GPU.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.training import *

from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets.captions import captioned_folder
from dense.engine.augment import train_augment
from dense.engine.export_hook import ExportHook
from dense.engine.factories import clip
from dense.engine.image_stage import adaptation, item_loader, picture_items
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.training.settings import StepSettings, Terms

data_root = "data/my_photos"
base_model = "embedded"
iterations = 300

captions = dict(type=captioned_folder, root=data_root, split="train")
model = dict(
    type=RunnerModel,
    method=dict(
        type=adaptation,
        backbone=dict(type=clip, name=base_model),
        captions=captions,
        terms=dict(type=Terms, classes=1.0, captions=1.0, anchor=1.0),
        settings=dict(type=StepSettings, precision="bf16", seed=0),
        learn=2,
    ),
)
train_dataloader = dict(
    type=item_loader,
    items=dict(
        type=picture_items,
        captions=captions,
        augment=dict(type=train_augment, size=(224, 224), scale=(0.4, 1.0)),
    ),
    batch_size=32,
    num_workers=0,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-4, weight_decay=0.05, betas=(0.9, 0.98)),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.1, by_epoch=False, end=20),
    dict(type=CosineAnnealingLR, eta_min_ratio=0.02, by_epoch=False, T_max=iterations),
]
default_hooks.checkpoint.update(interval=100)
train_cfg.update(max_iters=iterations)
custom_hooks = [dict(type=ExportHook, model=base_model)]
