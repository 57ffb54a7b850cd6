"""AnomalyCLIP with ViT-L-14-336, trained on the test pictures of A to be tested on B.

Paper: Zhou et al., "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection",
ICLR 2024, arXiv:2310.18961. Adam at 1e-3 (.5, .999), batches of 8, cross-entropy of the image and
four times focal and Dice losses of the map.
Data: A in MVTec AD's layout with masks, see data/README.md: MVTec AD to test on all others, VisA
to test on MVTec AD.
Command: dense train configs/train/anomalyclip_vitl14_336.py --data-root data/mvtec
Expected: not measured here; paper: MVTec AD: image AUROC 91.5, pixel AUROC 91.1; VisA: 82.1 and
95.5 (paper, table 1). 15 epochs of MVTec AD's 1725 test pictures; on VisA
train_cfg.max_iters=4050. Seed 0.
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
from dense.methods.anomaly.anomalyclip import AnomalyCLIPInspector, AnomalyCLIPSettings
from dense.methods.anomaly.training import InspectorTraining

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AnomalyCLIPInspector,
            backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
            products=dict(type=product_words, dataset=dataset, words=dict()),
            settings=dict(type=AnomalyCLIPSettings),
        ),
    ),
)
train_dataloader = dict(type=train_loader, dataset=dataset, batch_size=8, num_workers=4)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=Adam, lr=1e-3, betas=(0.5, 0.999)),
)
train_cfg.update(max_iters=3225)
custom_hooks = [dict(type=ExportLearnedHook, trained_on=data_root)]
