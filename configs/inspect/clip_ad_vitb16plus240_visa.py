"""CLIP-AD SDP+ with ViT-B-16-plus-240 on VisA, learned on MVTec AD.

Paper: Chen et al., "CLIP-AD: A Language-Guided Staged Dual-Path Model for Zero-shot Anomaly
Detection", arXiv:2311.00453.
Data: data/README.md, "VisA". Learned parts: `dense train configs/train/clip_ad_vitb16plus240.py
--data-root data/mvtec`, or the authors' file as model.method.weights. SDP without them:
model.method.weights=None.
Command: python tools/test.py configs/inspect/clip_ad_vitb16plus240_visa.py
Expected: not measured here; paper: MVTec AD, SDP: pixel F1 about 35.9, AUPRO 75.3; SDP+: 40.0 and
85.1 (from the abstract's gains over WinCLIP). No randomness.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.methods.anomaly.clip_ad import build

data_root = "data/visa"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")


model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="ViT-B-16-plus-240", pretrained="laion400m_e31"),
        products=dict(
            type=product_words,
            dataset=dataset,
            words={
                "chewinggum": "chewing gum",
                "macaroni1": "macaroni",
                "macaroni2": "macaroni",
                "pcb1": "printed circuit board",
                "pcb2": "printed circuit board",
                "pcb3": "printed circuit board",
                "pcb4": "printed circuit board",
            },
        ),
        weights="work_dirs/clip_ad_vitb16plus240/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
