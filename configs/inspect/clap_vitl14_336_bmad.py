"""CLAP with ViT-L/14 at 336 pixels on BMAD, zero-shot.

Paper: Park et al., "Contrastive Language Prompting to Ease False Positives in Medical Anomaly
Detection", arXiv:2411.07546.
Categories have the names of BMAD's folders.
Data: data/README.md, "BMAD".
Command: python tools/test.py configs/inspect/clap_vitl14_336_bmad.py
Expected: not run here; the paper's figures were not found, and its trained U-Net is
replaced by OpenCV's inpainting.
Minutes: not measured.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip, inspection_method
from dense.engine.model import RunnerModel

data_root = "data/bmad"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspection_method,
        name="clap",
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
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
        look_for=["tumor", "lesion", "abnormal tissue"],
        ignore=["healthy tissue"],
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
