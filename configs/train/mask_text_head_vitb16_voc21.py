"""The mask-text head on ViT-B/16, from Pascal VOC 2012 train.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
AdamW at 1e-3, batches of 16, pictures of 448; the masks are learned.
Data: data/README.md, "Pascal VOC".
Command: dense train configs/train/mask_text_head_vitb16_voc21.py
Expected: not measured yet; then configs/segment/mask_text_head_vitb16_voc21.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training import *
    from .._base_.segmentation import background_words

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
        words=dict(
            diningtable="dining table",
            pottedplant="potted plant",
            tvmonitor="television monitor",
        ),
        name="mask-text-head",
        kind="mask-text",
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
