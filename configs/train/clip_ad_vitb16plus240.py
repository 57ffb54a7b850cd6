"""CLIP-AD SDP+ with ViT-B-16-plus-240, trained on the test pictures of A to be tested on B.

Paper: Chen et al., "CLIP-AD: A Language-Guided Staged Dual-Path Model for Zero-shot Anomaly
Detection", arXiv:2311.00453. Adam at 1e-4, batches of 8, focal and Dice losses of every layer.
Data: A in MVTec AD's layout with masks, see data/README.md: MVTec AD to test on all others, VisA
to test on MVTec AD.
Command: dense train configs/train/clip_ad_vitb16plus240.py --data-root data/mvtec
Expected: not measured here; paper: MVTec AD, SDP: pixel F1 about 35.9, AUPRO 75.3; SDP+: 40.0 and
85.1 (from the abstract's gains over WinCLIP). 5 epochs of MVTec AD's 1725 test pictures; on VisA
train_cfg.max_iters=1350. Seed 0.
Minutes: not measured; a GPU is needed.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.learned_training import *

from mmengine.optim import OptimWrapper
from torch.optim import Adam

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.methods.anomaly.clip_ad import ClipAdInspector, ClipAdSettings
from dense.methods.anomaly.training import InspectorTraining

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=ClipAdInspector,
            backbone=dict(type=clip, name="ViT-B-16-plus-240", pretrained="laion400m_e31"),
            products=dict(type=product_words, dataset=dataset, words=dict()),
            settings=dict(type=ClipAdSettings, adapters=True),
        ),
    ),
)
train_dataloader = dict(type=train_loader, dataset=dataset, batch_size=8, num_workers=4)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=Adam, lr=1e-4),
)
train_cfg.update(max_iters=1080)
custom_hooks = [dict(type=ExportLearnedHook, trained_on=data_root)]
