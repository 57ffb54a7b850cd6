"""F-ViT with ViT-B/16 on OV-COCO: boxes of the 48 base classes of train2017.

Paper: Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, section 3.3: 640 pixels, 3 epochs of 64
pictures, AdamW 1e-4, decay .1, 250 iterations of warm-up. EVA's rotary towers have no dense form
here (`dense models list`): OpenAI's B/16 stands in; `model.method.backbone.pretrained=FILE` takes
a tower of configs/train/clipself_vitb16_coco.py.
Data: COCO `train2017/` and `annotations/instances_train2017.json` in data/coco.
Command: torchrun --nproc-per-node 8 tools/train.py configs/train/f_vit_vitb16_ov_coco.py
         --data-root data/coco
Expected: not run here. Published with EVA-CLIP: novel AP50 33.6 and 37.6 with CLIPSelf's towers.
Then configs/detect/f_vit_vitb16_ov_coco.py. Seed 0.
Minutes: not measured yet.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detection_training import *

data_root = "data/coco"
folder = dict(
    type=DetectionFolder,
    root=data_root,
    annotations="annotations/instances_train2017.json",
    images="train2017",
)
dataset = dict(
    type=ClassSubset,
    dataset=folder,
    classes=dict(type=detection_classes, dataset=folder, split="coco", novel=False),
)
model = dict(
    type=RunnerModel,
    method=dict(
        type=f_vit_student,
        backbone=dict(type=clip, name="ViT-B-16", pretrained="openai"),
        classes=dict(type=class_names, dataset=dataset),
        settings=dict(type=FViTSettings),
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dataset,
    batch_size=8,
    num_workers=4,
    augment=dict(type=detection_augment, side=640),
)
train_cfg.update(max_iters=5051)
default_hooks.checkpoint.update(interval=1000)
