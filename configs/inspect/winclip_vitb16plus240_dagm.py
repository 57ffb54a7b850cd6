"""WinCLIP with ViT-B/16+ at 240 pixels on DAGM 2007, zero-shot.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814. Maps are scored at original resolution. Its masks are
rough ellipses.
Data: data/README.md, "DAGM 2007".
Command: python tools/test.py configs/inspect/winclip_vitb16plus240_dagm.py
         WinCLIP+: add --shots 4 --seed 0
Expected: not measured. No randomness without support.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip, inspector
from dense.engine.model import RunnerModel

data_root = "data/dagm"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(
    dataset=dict(type=AnomalyFolder, root=data_root, split="train"),
    shots=0,
    seed=0,
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspector,
        backbone=dict(type=clip, name="ViT-B-16-plus-240", pretrained="laion400m_e31"),
        products=dict(
            type=product_words,
            dataset=dataset,
            words={
                "Class1": "textured surface",
                "Class2": "textured surface",
                "Class3": "textured surface",
                "Class4": "textured surface",
                "Class5": "textured surface",
                "Class6": "textured surface",
                "Class7": "textured surface",
                "Class8": "textured surface",
                "Class9": "textured surface",
                "Class10": "textured surface",
            },
        ),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=16, num_workers=4)
