"""Shared by lookers on RefCOCO, RefCOCO+ and RefCOCOg: OpenAI's CLIP, boxes of the annotations."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.datasets.refcoco import RefCOCO
from dense.engine.data import test_loader
from dense.engine.factories import clip
from dense.engine.looking import GroundingMetric, phrase_finder
from dense.engine.model import RunnerModel

data_root = "data/refer"
dataset = dict(
    type=RefCOCO,
    root="data/refer/refcoco",
    images="data/refer/train2014",
    split="val",
    by="unc",
    masks=True,
)
model = dict(
    type=RunnerModel,
    method=dict(type=phrase_finder, backbone=dict(type=clip, name="ViT-B-16", pretrained="openai")),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=2)
test_evaluator = [dict(type=GroundingMetric)]
