"""Shared by region accuracy on panoptic data: boxes, masks of things and of stuff."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets.regions import PanopticFolder
from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.engine.regions import RegionMetric, region_reader

data_root = "data/coco_panoptic"
dataset = dict(type=PanopticFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=region_reader,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        attention="value",
        short_side=1024,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
test_evaluator = [dict(type=RegionMetric)]
