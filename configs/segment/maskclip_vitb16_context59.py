"""MaskCLIP with ViT-B/16 on Pascal Context val, 59 classes without background.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071;
short side 336, windows of 224 every 112 pixels, as SCLIP and its successors evaluate.
Data: data/README.md, "Pascal Context".
Command: python tools/test.py configs/segment/maskclip_vitb16_context59.py
Expected: see docs. No randomness.
Minutes: see docs.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import *

from mmseg.datasets import PascalContextDataset59

from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.mmseg_data import MMSegSamples
from dense.engine.model import RunnerModel

data_root = "data/VOCdevkit/VOC2010"
dataset = dict(
    type=MMSegSamples,
    dataset=PascalContextDataset59,
    options=dict(
        data_root=data_root,
        ann_file="ImageSets/SegmentationContext/val.txt",
        data_prefix=dict(img_path="JPEGImages", seg_map_path="SegmentationClassContext"),
    ),
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        words=dict(
            pottedplant="potted plant",
            tvmonitor="television monitor",
        ),
        attention="value",
        short_side=336,
        crop=224,
        stride=112,
        batch_size=16,
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=1, num_workers=4)
