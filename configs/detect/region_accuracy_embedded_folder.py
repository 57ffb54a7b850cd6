"""Region accuracy on anyone's own boxes, with the packaged model; before and after a training.

Paper: protocol of Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, table 2. With masks in the
file: `--cfg-options dataset.masks=True`. Another tower: `model.method.backbone.name=FILE`.
Data: `images/ instances.json`, see data/README.md.
Command: python tools/test.py configs/detect/region_accuracy_embedded_folder.py --data-root MY_BOXES
Expected: 128 photos of COCO, 898 boxes, 80 names: `boxes_top1` 26.9, `boxes_mean_top1` 18.7;
`model.method.backbone.name=embedded-base`: 14.0 and 9.2. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_accuracy import *

from dense.datasets import DetectionFolder

data_root = "data/my_boxes"
dataset = dict(type=DetectionFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=region_reader,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1)
