"""Shared by detection configs on a folder of pictures and boxes with the packaged model."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets import DetectionFolder
from dense.engine.data import test_loader
from dense.engine.detection import DetectionMetric, detection_classes, detector
from dense.engine.factories import clip
from dense.engine.model import RunnerModel

data_root = "data/my_boxes"
dataset = dict(type=DetectionFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=detector,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=detection_classes, dataset=dataset),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1)
test_evaluator = [dict(type=DetectionMetric, dataset=dataset)]
