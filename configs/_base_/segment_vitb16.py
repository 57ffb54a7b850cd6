"""Shared by ViT-B/16 on the benchmarks: model, loader, protocol.

The protocol is that of SCLIP and its successors, the same for every method and data set.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation import *

from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.model import RunnerModel

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        protocol="sclip",
        batch_size=16,
    ),
)
test_dataloader = dict(type=test_loader, batch_size=1, num_workers=4)
