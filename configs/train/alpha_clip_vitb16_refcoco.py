"""Alpha-CLIP on ViT-B/16 with RefCOCOg's phrases and masks.

Paper: Sun et al., CVPR 2024, arXiv:2312.03818: 512 regions a GPU, 20 million of GRIT with masks by
segment-anything. GRIT's pictures are links that decay; RefCOCOg's training phrases stand in.
Data: data/README.md, "RefCOCO, RefCOCO+ and RefCOCOg".
Command: torchrun --nproc-per-node 8 tools/train.py configs/train/alpha_clip_vitb16_refcoco.py
         --data-root data/refer
Expected: not run here. Published with GRIT-20M: ImageNet-S top-1 68.9 (plain CLIP 66.5). Seed 0.
Minutes: about 60 on 8 current GPUs (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .alpha_clip_embedded import *

from dense.datasets.refcoco import RefCOCO

data_root = "data/refer"
regions = dict(
    type=RefCOCO,
    root="data/refer/refcocog",
    images="data/refer/train2014",
    split="train",
    by="umd",
    masks=True,
)
model.method.backbone.update(name="ViT-B-16", pretrained="openai")
model.method.update(source=regions)
train_dataloader.update(source=regions, batch_size=256, num_workers=4)
train_cfg.update(max_iters=4000)
param_scheduler[1].update(T_max=4000)
default_hooks.checkpoint.update(interval=1000)
