"""Shared by decode heads with ViT-B/16 on Pascal VOC 2012 train: data, words, steps."""

from mmengine.config import read_base

with read_base():
    from .head_training import *
    from .segmentation import background_words, voc_words

from mmseg.datasets import PascalVOCDataset

from dense.engine.mmseg_data import MMSegSamples

data_root = "data/VOCdevkit/VOC2012"
dataset = dict(
    type=MMSegSamples,
    dataset=PascalVOCDataset,
    options=dict(
        data_root=data_root,
        ann_file="ImageSets/Segmentation/train.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClass"),
    ),
)
model = dict(
    type=RunnerModel,
    method=dict(
        type=head_student,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        background=background_words,
        words=voc_words,
        side=448,
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dataset,
    batch_size=16,
    num_workers=4,
    augment=dict(type=train_augment, size=(448, 448)),
)
param_scheduler[0].update(end=2000)
train_cfg.update(max_iters=2000)
