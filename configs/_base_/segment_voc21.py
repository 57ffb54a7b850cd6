"""Pascal VOC 2012 val, 20 classes and background."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *

from mmseg.datasets import PascalVOCDataset

from dense.engine.mmseg_data import MMSegSamples

data_root = "data/VOCdevkit/VOC2012"
dataset = dict(
    type=MMSegSamples,
    dataset=PascalVOCDataset,
    options=dict(
        data_root=data_root,
        ann_file="ImageSets/Segmentation/val.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
    ),
)
voc_words = dict(
    diningtable="dining table",
    pottedplant="potted plant",
    tvmonitor="television monitor",
)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    background=background_words,
    words=voc_words,
    threshold=0.1,
)
test_dataloader.update(dataset=dataset)
