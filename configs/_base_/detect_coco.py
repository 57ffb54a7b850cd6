"""Shared by ViT-B/16 on OV-COCO: val2017, the 17 novel and 48 base classes."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets import DetectionFolder
from dense.engine.data import test_loader
from dense.engine.detection import DetectionMetric, detection_classes, detector
from dense.engine.factories import clip
from dense.engine.model import RunnerModel

data_root = "data/coco"
dataset = dict(
    type=DetectionFolder,
    root=data_root,
    annotations="annotations/instances_val2017.json",
    images="val2017",
)
classes = dict(type=detection_classes, dataset=dataset, split="coco")
model = dict(
    type=RunnerModel,
    method=dict(
        type=detector,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=classes,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
test_evaluator = [dict(type=DetectionMetric, dataset=dataset, classes=classes, split="coco")]
