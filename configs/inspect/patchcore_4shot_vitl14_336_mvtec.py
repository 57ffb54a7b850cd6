"""PatchCore with ViT-L/14 at 336 pixels on MVTec AD, 4 shots.

Paper: Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022,
arXiv:2106.08265.
Data: data/README.md, "MVTec AD".
Command: python tools/test.py configs/inspect/patchcore_4shot_vitl14_336_mvtec.py
Expected: not run here; the paper's own backbone (WideResNet50, all pictures) has image AUROC 99.2,
pixel AUROC 98.1, PRO 94.4.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip, inspection_method
from dense.engine.model import RunnerModel

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(
    dataset=dict(type=AnomalyFolder, root=data_root, split="train"),
    shots=4,
    seed=0,
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspection_method,
        name="patchcore",
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        shots=4,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
