"""CLIPSelf as published: EVA-CLIP B/16 at 1024 pixels on COCO's training photos, no labels.

Paper: Wu et al., ICLR 2024, arXiv:2310.01403: AdamW 1e-5, decay .1, 6 epochs, 1,000 iterations of
warm-up, 16 pictures, at most 20 regions, all blocks, α .7. EVA's rotary towers have no dense form
here (`dense models list`): OpenAI's B/16 stands in.
Data: COCO's `train2017` (data/README.md); its annotations are not used. The guard reads class
folders or `captions.jsonl` in `data/guard`.
Command: torchrun --nproc-per-node 8 tools/train.py configs/train/clipself_vitb16_coco.py
         --data-root data/coco
Expected: not run here. Published with EVA-CLIP: boxes 72.1, thing masks 74.4, stuff masks 46.8
(mean top-1 of COCO-panoptic at 1024 pixels). Seed 0.
Minutes: about 300 on 8 current GPUs (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.region_training import *

data_root = "data/coco"
guard = "data/guard"
photos.update(root="data/coco/train2017", proposals="")
student.update(name="ViT-B-16", pretrained="openai")
model.method.settings.update(checkpointing=True)
train_dataloader = dict(
    type=region_loader,
    photos=photos,
    rule=dict(type=RegionRule, side=1024, crop=224, most=6, count=20, seed=0),
    batch_size=2,
    num_workers=4,
)
param_scheduler[0].update(end=1000)
param_scheduler[1].update(T_max=44352)
train_cfg.update(max_iters=44352)
default_hooks.checkpoint.update(interval=2000)
held.update(pictures=dict(type=guard_pictures, source=guard), every=2000)
export.update(model="ViT-B-16-quickgelu")
custom_hooks = [held, export]
