"""CLIP-DINOiser's convolutions on ViT-B/16, the authors' recipe but for the foreground teacher.

Paper: Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary
semantic segmentation", ECCV 2024, arXiv:2312.12359.
AdamW at 5e-5 (1e-2 for the foreground), batches of 16, 100 epochs of 1,000 pictures, crops of 448;
the rate falls by ten after 5,000 iterations. The correlation teacher is DINO ViT-B/16 from timm;
the foreground teacher is LOST's rule in place of FOUND.
Data: a folder of 1,000 photographs, the authors took ImageNet's; no labels.
Command: dense train configs/train/clip_dinoiser_vitb16.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: the authors need 180 on one GPU.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.dinoiser_training import *

data_root = "data/imagenet_1000"
model["method"].update(
    backbone=dict(type=clip, name="ViT-B-16", pretrained="laion2b_s34b_b88k"),
    teacher="dino-b16",
    side=448,
)
train_dataloader["dataset"].update(root=data_root)
train_dataloader["augment"].update(size=(448, 448))
train_dataloader.update(batch_size=16)
param_scheduler[0].update(milestones=[5000])
train_cfg.update(max_iters=6250)
