"""Pascal Context val, 59 classes without background."""

from mmengine.config import read_base

with read_base():
    from .segment_context60 import context_words, data_root, dataset
    from .segment_vitb16 import *

from mmseg.datasets import PascalContextDataset59

dataset.update(dataset=PascalContextDataset59)
model["method"].update(
    classes=dict(type=class_names, dataset=dataset),
    words=context_words,
)
test_dataloader.update(dataset=dataset)
