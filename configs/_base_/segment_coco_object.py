"""COCO-Object val2017, 80 things and background: COCO-Stuff's pictures, other masks."""

from mmengine.config import read_base

with read_base():
    from .segment_coco_stuff import data_root, dataset
    from .segment_vitb16 import *

from dense.engine.mmseg_data import COCOObjectDataset

dataset.update(dataset=COCOObjectDataset)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    background=background_words,
    threshold=0.1,
)
test_dataloader.update(dataset=dataset)
