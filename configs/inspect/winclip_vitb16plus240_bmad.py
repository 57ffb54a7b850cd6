"""WinCLIP with ViT-B/16+ at 240 pixels on BMAD, zero-shot.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814. Maps are scored at original resolution. Three of its six
sets have no pixel labels.
Data: data/README.md, "BMAD".
Command: python tools/test.py configs/inspect/winclip_vitb16plus240_bmad.py
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

data_root = "data/bmad"
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
                "Brain_AD": "brain MRI",
                "Liver_AD": "liver CT",
                "Retina_RESC_AD": "retinal OCT",
                "Retina_OCT2017_AD": "retinal OCT",
                "Chest_AD": "chest X-ray",
                "Histopathology_AD": "histopathological tissue",
            },
        ),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=16, num_workers=4)
