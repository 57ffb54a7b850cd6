"""AdaCLIP with ViT-L-14-336, trained on the test pictures of A to be tested on B.

Paper: Cao et al., "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for Zero-Shot Anomaly
Detection", ECCV 2024, arXiv:2407.15795. AdamW at 1e-2 (.5, .999), focal loss of the image, focal
and Dice losses of every layer, mosaics at a rate of .2 (none on VisA).
Data: A in MVTec AD's layout with masks, see data/README.md: MVTec AD to test on all others, VisA
to test on MVTec AD.
Command: dense train configs/train/adaclip_vitl14_336.py --data-root data/mvtec
Expected: not measured here; paper: MVTec AD: image AUROC 89.2, pixel AUROC 88.7; VisA: 85.8 and
95.5 (as Crane, arXiv:2504.11055, quotes them; trained with ColonDB or ClinicDB, too). 5 epochs of
MVTec AD's 1725 test pictures; on VisA train_cfg.max_iters=10810 train_dataloader.dataset.rate=0.
Seed 0.
Minutes: not measured; a GPU is needed.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.learned_training import *

from mmengine.optim import OptimWrapper
from torch.optim import AdamW

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, train_loader
from dense.engine.factories import clip
from dense.engine.learned import ExportLearnedHook
from dense.engine.model import RunnerModel
from dense.engine.optim import LearnableParameters
from dense.methods.anomaly.adaclip import AdaCLIPInspector, AdaCLIPSettings
from dense.methods.anomaly.training import InspectorTraining
from dense.training.defect_samples import Mosaic

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AdaCLIPInspector,
            backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
            products=dict(type=product_words, dataset=dataset, words=dict()),
            settings=dict(type=AdaCLIPSettings),
        ),
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dict(type=Mosaic, source=dataset, rate=0.2),
    batch_size=1,
    num_workers=4,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=AdamW, lr=1e-2, weight_decay=0.01, betas=(0.5, 0.999)),
)
train_cfg.update(max_iters=8625)
custom_hooks = [dict(type=ExportLearnedHook, trained_on=data_root)]
