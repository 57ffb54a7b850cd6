"""APRIL-GAN with ViT-L-14-336, trained on the test pictures of A to be tested on B.

Paper: Chen et al., "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation Method for
CVPR 2023 VAND Workshop Challenge Tracks 1&2", arXiv:2305.17382. Adam at 1e-3 (.5, .999), batches
of 8, focal and Dice losses of every layer, mosaics at a rate of .2 (none on VisA).
Data: A in MVTec AD's layout with masks, see data/README.md: MVTec AD to test on all others, VisA
to test on MVTec AD.
Command: dense train configs/train/april_gan_vitl14_336.py --data-root data/mvtec
Expected: not measured here; paper: MVTec AD: image AUROC 86.1, pixel AUROC 87.6; VisA: 78.0 and
94.2 (paper, as MuSc quotes them); four shots 92.8 / 95.9 and 92.6 / 96.2. 3 epochs of MVTec AD's
1725 test pictures; on VisA 15 epochs: train_cfg.max_iters=4050 train_dataloader.dataset.rate=0.
Seed 0.
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
from dense.methods.anomaly.april_gan import AprilGanInspector, AprilGanSettings
from dense.methods.anomaly.training import InspectorTraining
from dense.training.defect_samples import Mosaic

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")

model = dict(
    type=RunnerModel,
    method=dict(
        type=InspectorTraining,
        inspector=dict(
            type=AprilGanInspector,
            backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
            products=dict(type=product_words, dataset=dataset, words=dict()),
            settings=dict(type=AprilGanSettings),
        ),
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dict(type=Mosaic, source=dataset, rate=0.2),
    batch_size=8,
    num_workers=4,
)
optim_wrapper = dict(
    type=OptimWrapper,
    constructor=LearnableParameters,
    optimizer=dict(type=Adam, lr=1e-3, betas=(0.5, 0.999)),
)
train_cfg.update(max_iters=645)
custom_hooks = [dict(type=ExportLearnedHook, trained_on=data_root)]
