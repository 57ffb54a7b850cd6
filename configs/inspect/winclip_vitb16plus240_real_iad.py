"""WinCLIP with ViT-B/16+ at 240 pixels on Real-IAD, zero-shot.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814. Maps are scored at original resolution.
Data: data/README.md, "Real-IAD".
Command: python tools/test.py configs/inspect/winclip_vitb16plus240_real_iad.py
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

data_root = "data/real_iad"
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
                "3_adapter": "adapter",
                "audiojack": "audio jack",
                "pcb": "printed circuit board",
                "terminalblock": "terminal block",
                "transistor1": "transistor",
                "vcpill": "pill",
                "usb": "usb plug",
                "usb_adaptor": "usb adapter",
            },
        ),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=16, num_workers=4)
