"""AdaCLIP with ViT-L-14-336 on MVTec AD, learned on VisA.

Paper: Cao et al., "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for Zero-Shot Anomaly
Detection", ECCV 2024, arXiv:2407.15795.
Data: data/README.md, "MVTec AD". Learned parts: `dense train configs/train/adaclip_vitl14_336.py
--data-root data/visa`, or the authors' file as model.method.weights.
Command: python tools/test.py configs/inspect/adaclip_vitl14_336_mvtec.py
Expected: not measured here; paper: MVTec AD: image AUROC 89.2, pixel AUROC 88.7; VisA: 85.8 and
95.5 (as Crane, arXiv:2504.11055, quotes them; trained with ColonDB or ClinicDB, too). No
randomness.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.methods.anomaly.adaclip import build

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")


model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        weights="work_dirs/adaclip_vitl14_336/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
