"""Pascal Context val, 59 classes and background."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *

from mmseg.datasets import PascalContextDataset

from dense.engine.mmseg_data import MMSegSamples

data_root = "data/VOCdevkit/VOC2010"
dataset = dict(
    type=MMSegSamples,
    dataset=PascalContextDataset,
    options=dict(
        data_root=data_root,
        ann_file="ImageSets/SegmentationContext/val.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassContext"),
    ),
)
context_words = dict(pottedplant="potted plant", tvmonitor="television monitor")
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    background=background_words,
    words=context_words,
    threshold=0.1,
)
test_dataloader.update(dataset=dataset)
