"""Shared by decode heads with the packaged model on anyone's pictures with masks."""

from mmengine.config import read_base

with read_base():
    from .head_training import *
    from .segment_folder import data_root, dataset

model["method"].update(
    backbone=dict(type=clip, name="embedded"),
    classes=dict(type=class_names, dataset=dataset),
    side=336,
)
train_dataloader.update(dataset=dataset, batch_size=8, num_workers=2)
train_dataloader["augment"].update(size=(336, 336))
