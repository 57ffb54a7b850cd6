"""A stub method on an anomaly folder, with support."""

from mmengine.runner import TestLoop

from dense.datasets import AnomalyFolder
from dense.engine.data import test_loader
from dense.engine.metrics import AnomalyMetric
from dense.engine.model import RunnerModel
from tests.engine.stubs import QuarterInspector

data_root = "data/nowhere"
support = dict(dataset=dict(type=AnomalyFolder, root=data_root, split="train"), shots=2, seed=0)
model = dict(type=RunnerModel, method=dict(type=QuarterInspector))
test_cfg = dict(type=TestLoop)
test_dataloader = dict(
    type=test_loader, dataset=dict(type=AnomalyFolder, root=data_root, split="test"), batch_size=2
)
test_evaluator = [dict(type=AnomalyMetric)]
