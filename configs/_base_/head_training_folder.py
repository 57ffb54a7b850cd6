"""Shared by decode heads with the packaged model on anyone's pictures with masks."""

from mmengine.config import read_base

with read_base():
    from .head_training import *

from dense.datasets import SegmentationFolder

data_root = "data/my_photos"
dataset = dict(type=SegmentationFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=head_student,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
        side=336,
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dataset,
    batch_size=8,
    num_workers=2,
    augment=dict(type=train_augment, size=(336, 336)),
)
