"""ADE20K validation, 150 classes."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *

from mmseg.datasets import ADE20KDataset

from dense.engine.mmseg_data import MMSegSamples

data_root = "data/ade/ADEChallengeData2016"
dataset = dict(
    type=MMSegSamples,
    dataset=ADE20KDataset,
    options=dict(
        data_root=data_root,
        data_prefix=dict(img_path="images/validation", seg_map_path="annotations/validation"),
    ),
)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
)
test_dataloader.update(dataset=dataset)
