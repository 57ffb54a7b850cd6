"""Shared by few-shot inspection with ViT-L/14 at 336 pixels on MVTec AD: data, 4 shots."""

from mmengine.config import read_base

with read_base():
    from .inspection import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip, inspection_method
from dense.engine.model import RunnerModel

data_root = "data/mvtec"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(
    dataset=dict(type=AnomalyFolder, root=data_root, split="train"),
    shots=4,
    seed=0,
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspection_method,
        backbone=dict(type=clip, name="ViT-L-14-336", pretrained="openai"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        shots=4,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8, num_workers=4)
