"""Shared by segmentation configs on a folder of pictures and masks with the packaged model.

The last block and the input size are what the packaged model recommends for itself.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation import *

from dense.datasets import SegmentationFolder
from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.model import RunnerModel

data_root = "data/my_photos"
dataset = dict(type=SegmentationFolder, root=data_root)

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=4)
