"""APRIL-GAN with ViT-L-14-336 on VisA, learned on MVTec AD.

Paper: Chen et al., "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation Method for
CVPR 2023 VAND Workshop Challenge Tracks 1&2", arXiv:2305.17382.
Data: data/README.md, "VisA". Learned parts: `dense train configs/train/april_gan_vitl14_336.py
--data-root data/mvtec`, or the authors' file as model.method.weights.
Command: python tools/test.py configs/inspect/april_gan_vitl14_336_visa.py
         four normal pictures of each category: add --shots 4 --seed 0
Expected: not measured here; paper: MVTec AD: image AUROC 86.1, pixel AUROC 87.6; VisA: 78.0 and
94.2 (paper, as MuSc quotes them); four shots 92.8 / 95.9 and 92.6 / 96.2. No randomness without
support.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.methods.anomaly.april_gan import build

data_root = "data/visa"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(dataset=dict(type=AnomalyFolder, root=data_root, split="train"), shots=0, seed=0)

model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
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
        weights="work_dirs/april_gan_vitl14_336/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
