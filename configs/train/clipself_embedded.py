"""CLIPSelf: patches of the packaged plain CLIP learn to speak for regions, from photos alone.

Paper: Wu et al., "CLIPSelf: Vision Transformer Distills Itself for Open-Vocabulary Dense
Prediction", ICLR 2024, arXiv:2310.01403. Random grids, value path, AdamW with decay .1. Ours: only
the last three blocks learn, at 5e-5, and their running mean is kept, alone where the guard lets it
(paper: .7, mixed with .3 of the teacher); batches of 8, grids of at most 4 x 4, and the image term,
which holds the class tokens of whole pictures. (All blocks at 1e-4 forget them in 40 iterations;
the guard then lets 4 % through.)
Data: a folder of photos of any layout; no labels are learned from. With `captions.jsonl` or class
folders, the guard holds zero-shot accuracy within 1 point. With `instances.json`, its boxes are
the regions.
Command: dense train configs/train/clipself_embedded.py --data-root PHOTOS
Expected: see docs/detection.md. Seed 0.
Minutes: 35 on one core with bfloat16 units, 2 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_training import *

from mmengine.hooks import EMAHook
from mmengine.model import MomentumAnnealingEMA

iterations = 450

train_dataloader.rule.update(most=4)
model["method"].update(learn=3)
model["method"]["settings"].update(share=1.0)
model["method"]["terms"].update(image=8.0)
optim_wrapper["optimizer"].update(lr=5e-5)
train_cfg.update(max_iters=iterations)
param_scheduler[1].update(T_max=iterations)
mean = dict(type=EMAHook, ema_type=MomentumAnnealingEMA, momentum=0.01, gamma=10)
custom_hooks = [held, export, mean]
