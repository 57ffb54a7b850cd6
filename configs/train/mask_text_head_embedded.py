"""The mask-text head on the packaged model, from anyone's own pictures with masks.

Paper: Das et al., "MTA-CLIP: Language-Guided Semantic Segmentation with Mask-Text Alignment", ECCV
2024, arXiv:2407.21654; simpler than the paper, see the head.
AdamW at 1e-3, batches of 8, pictures of 336; the masks are learned.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: dense train configs/train/mask_text_head_embedded.py --data-root MY_DATA
Expected: the losses fall; then configs/segment/mask_text_head_embedded_folder.py. Seed 0.
Minutes: about 20 on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.head_training import *

from dense.datasets import SegmentationFolder

data_root = "data/my_photos"
dataset = dict(type=SegmentationFolder, root=data_root)
model = dict(
    type=RunnerModel,
    method=dict(
        type=head_student,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
        name="mask-text-head",
        kind="mask-text",
        side=336,
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dataset,
    batch_size=8,
    num_workers=2,
    augment=dict(type=train_augment, size=(336, 336)),
)
