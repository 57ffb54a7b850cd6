"""Shared by lookers that name the boxes of a folder with the packaged model."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets import DetectionFolder
from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip
from dense.engine.looking import NamingMetric, region_namer
from dense.engine.model import RunnerModel

data_root = "data/my_boxes"
dataset = dict(type=DetectionFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=region_namer,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1)
test_evaluator = [dict(type=NamingMetric)]
