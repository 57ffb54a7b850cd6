"""Stage 3 of the packaged model: patches learn words and states; the default model.

Paper: Wu et al., "CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense
Prediction", ICLR 2024, arXiv:2310.01403, with a classifier's patches as the teacher; smoothing
after Lan et al., "ProxyCLIP", ECCV 2024, arXiv:2408.04883; words after Duygulu et al., "Object
Recognition as Machine Translation", ECCV 2002; states after Jeong et al., "WinCLIP", CVPR 2023,
arXiv:2303.14814, on synthetic defects after Li et al., "CutPaste", CVPR 2021, arXiv:2104.04015.
Data: as stage 2, whose result it starts from.
Command: dense train configs/train/embedded.py --data-root CAPTIONS
Expected: the numbers of `embedded` in the model card (`dense models card`); seed 0.
Minutes: 60 for the caches, then 1.5 a 100 steps, on two cores with bfloat16 units; 5 times that
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
from dense.engine.factories import clip
from dense.engine.image_stage import cached_items, image_student, item_loader, records_of
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.text_stage import phrase_targets
from dense.training.image_teacher import efficientnet_lite
from dense.training.phrases import PhraseCounts
from dense.training.sentence_teacher import minilm
from dense.training.settings import StepSettings, Terms
from dense.training.state_terms import StateWeights
from dense.training.states import DefectPairs
from dense.training.student import StudentShape
from dense.training.views import ViewRule

data_root = "data/captions"
cache_dir = "work_dirs/cache"
iterations = 4500
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
student = dict(type=clip, name="work_dirs/embedded_base/model.safetensors")
textures = ["dtd10", "dtd10b"]
objects = ["caltech101", "trashnet", "grocery_store", "ikea", "clothing_small", "dreambooth"]
objects += ["ms_tools", "fruit_veg", "wood_screws"]
photos = dict(type=records_of, captions=trained, kinds=["class"], sources=textures + objects)
drawn = dict(type=DefectPairs, photos=photos, textures=textures)
pairs = [
    dict(**drawn, count=1000, side=168, seed=1),
    dict(**drawn, count=640, side=224, cells=0.2, seed=2),
    dict(**drawn, count=900, side=196, cells=0.2, seed=3),
    dict(**drawn, count=1600, side=168, cells=0.2, seed=44),
]

model = dict(
    type=RunnerModel,
    method=dict(
        type=image_student,
        backbone=student,
        captions=trained,
        texts=targets,
        teacher=teacher,
        terms=dict(
            type=Terms,
            teacher=0.6,
            classes=0.4,
            captions=0.4,
            mimicry=0.5,
            regression=2.0,
            dense=0.1,
            dense_mimicry=0.4,
            dense_regression=4.0,
            words=1.2,
            values=0.35,
            states=1.2,
        ),
        pairs=pairs,
        states=dict(type=StateWeights, window=0.35),
        settings=dict(
            type=StepSettings,
            start=start,
            keep=64,
            dense_patches=36,
            precision="bf16",
            adjust=True,
            mix=0.5,
            seed=0,
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
        rules=[
            dict(type=ViewRule, scale=(0.75, 1.0), seed=1),
            dict(type=ViewRule, scale=(0.5, 1.0), seed=11),
            dict(type=ViewRule, scale=(0.15, 0.5), seed=3),
        ],
        teacher=teacher,
        words=True,
        pairs=pairs,
        every=7,
    ),
    batch_size=56,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=5e-4, weight_decay=0.05, betas=(0.9, 0.98)),
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
