"""Cityscapes val, 19 classes; larger pictures, as its family has them."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *

from mmseg.datasets import CityscapesDataset

from dense.engine.mmseg_data import MMSegSamples

data_root = "data/cityscapes"
dataset = dict(
    type=MMSegSamples,
    dataset=CityscapesDataset,
    options=dict(
        data_root=data_root,
        data_prefix=dict(img_path="leftImg8bit/val", seg_map_path="gtFine/val"),
    ),
)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    short_side=560,
)
test_dataloader.update(dataset=dataset)
