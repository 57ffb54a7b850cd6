"""Panoptic segmentation by words alone on anyone's own pictures, with the packaged model.

Paper: ours: patch grouping and dense region scores for things, the recommended last block for
stuff; merging and measure of Kirillov et al., "Panoptic Segmentation", CVPR 2019, arXiv:1801.00868.
Data: `images/ panoptic/ panoptic.json`, see data/README.md (COCO-panoptic, ADE20K-panoptic).
Command: python tools/test.py configs/detect/panoptic_embedded_folder.py --data-root MY_DATA
Expected: not measured yet. No randomness.
Minutes: about 3 for 100 pictures on two cores (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.runtime import *

from dense.datasets.regions import PanopticFolder
from dense.engine.data import test_loader
from dense.engine.factories import clip
from dense.engine.model import RunnerModel
from dense.engine.panoptic import PanopticMetric, panoptic_segmentor

data_root = "data/coco_panoptic"
dataset = dict(type=PanopticFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=panoptic_segmentor, backbone=dict(type=clip, name="embedded"), dataset=dataset
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1)
test_evaluator = [dict(type=PanopticMetric, dataset=dataset)]
