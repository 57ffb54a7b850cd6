"""Shared by lookers that find the phrases of a folder with the packaged model."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets.referring import ReferringFolder
from dense.engine.data import test_loader
from dense.engine.factories import clip
from dense.engine.looking import GroundingMetric, phrase_finder
from dense.engine.model import RunnerModel

data_root = "data/my_phrases"
model = dict(
    type=RunnerModel,
    method=dict(type=phrase_finder, backbone=dict(type=clip, name="embedded")),
)
test_dataloader = dict(
    type=test_loader,
    dataset=dict(type=ReferringFolder, root=data_root, masks=True),
    batch_size=1,
)
test_evaluator = [dict(type=GroundingMetric)]
