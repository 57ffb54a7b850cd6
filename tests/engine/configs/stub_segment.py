"""A stub method on a segmentation folder."""

from mmengine.runner import TestLoop

from dense.datasets import SegmentationFolder
from dense.engine.data import class_names, test_loader
from dense.engine.metrics import SegmentationMetric
from dense.engine.model import RunnerModel
from tests.engine.stubs import ConstantSegmentor

data_root = "data/nowhere"
dataset = dict(type=SegmentationFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(type=ConstantSegmentor, classes=dict(type=class_names, dataset=dataset)),
)
test_cfg = dict(type=TestLoop)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=2)
test_evaluator = [dict(type=SegmentationMetric)]
