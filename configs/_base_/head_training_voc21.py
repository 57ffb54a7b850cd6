"""Shared by decode heads with ViT-B/16 on Pascal VOC 2012 train: data, words, steps."""

from mmengine.config import read_base

with read_base():
    from .head_training import *
    from .segment_voc21 import background_words, data_root, dataset, voc_words

dataset["options"].update(ann_file="ImageSets/Segmentation/train.txt")
model["method"].update(
    backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
    classes=dict(type=class_names, dataset=dataset),
    background=background_words,
    words=voc_words,
    side=448,
)
train_dataloader.update(dataset=dataset, batch_size=16, num_workers=4)
train_dataloader["augment"].update(size=(448, 448))
param_scheduler[0].update(end=2000)
train_cfg.update(max_iters=2000)
