"""Shared by ViT-B/16 on ADE20K validation, 150 classes: data, words, protocol.

The protocol is that of SCLIP and its successors, the same for every method.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation import *

from mmseg.datasets import ADE20KDataset

from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.mmseg_data import MMSegSamples
from dense.engine.model import RunnerModel

data_root = "data/ade/ADEChallengeData2016"
dataset = dict(
    type=MMSegSamples,
    dataset=ADE20KDataset,
    options=dict(
        data_root=data_root,
        data_prefix=dict(img_path="images/validation", seg_map_path="annotations/validation"),
    ),
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        protocol="sclip",
        batch_size=16,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
