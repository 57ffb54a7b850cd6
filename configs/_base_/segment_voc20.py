"""Pascal VOC 2012 val, 20 classes without background."""

from mmengine.config import read_base

with read_base():
    from .segment_vitb16 import *
    from .segment_voc21 import data_root, dataset, voc_words

from mmseg.datasets import PascalVOCDataset

from dense.engine.mmseg_data import foreground

dataset["options"].update(metainfo=dict(type=foreground, dataset=PascalVOCDataset))
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    words=voc_words,
)
test_dataloader.update(dataset=dataset)
