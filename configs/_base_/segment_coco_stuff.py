"""COCO-Stuff 164k val2017, 171 classes."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *

from mmseg.datasets import COCOStuffDataset

from dense.engine.factories import stuff_words
from dense.engine.mmseg_data import MMSegSamples

data_root = "data/coco_stuff164k"
dataset = dict(
    type=MMSegSamples,
    dataset=COCOStuffDataset,
    options=dict(
        data_root=data_root,
        data_prefix=dict(img_path="images/val2017", seg_map_path="annotations/val2017"),
    ),
)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    words=dict(type=stuff_words, dataset=dataset),
)
test_dataloader.update(dataset=dataset)
