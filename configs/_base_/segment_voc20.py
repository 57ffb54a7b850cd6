"""Shared by ViT-B/16 on Pascal VOC 2012 val, 20 classes without background: data, words, protocol.

The protocol is that of SCLIP and its successors, the same for every method.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation import *

from mmseg.datasets import PascalVOCDataset

from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.mmseg_data import MMSegSamples, foreground
from dense.engine.model import RunnerModel

data_root = "data/VOCdevkit/VOC2012"
dataset = dict(
    type=MMSegSamples,
    dataset=PascalVOCDataset,
    options=dict(
        data_root=data_root,
        ann_file="ImageSets/Segmentation/val.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
        metainfo=dict(type=foreground, dataset=PascalVOCDataset),
    ),
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        words=voc_words,
        protocol="sclip",
        batch_size=16,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
