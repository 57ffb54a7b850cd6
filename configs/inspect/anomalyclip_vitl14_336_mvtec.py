"""AnomalyCLIP with ViT-L-14-336 on MVTec AD, learned on VisA.

Paper: Zhou et al., "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection",
ICLR 2024, arXiv:2310.18961.
Data: data/README.md, "MVTec AD". Learned parts: `dense train
configs/train/anomalyclip_vitl14_336.py --data-root data/visa`, or the authors' file as
model.method.weights.
Command: python tools/test.py configs/inspect/anomalyclip_vitl14_336_mvtec.py
Expected: not measured here; paper: MVTec AD: image AUROC 91.5, pixel AUROC 91.1; VisA: 82.1 and
95.5 (paper, table 1). No randomness.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.methods.anomaly.anomalyclip import build

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")


model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        weights="work_dirs/anomalyclip_vitl14_336/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
