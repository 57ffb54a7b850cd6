"""F-ViT on the packaged model, from anyone's own pictures with boxes; small, for a CPU.

Paper: Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403, section 3.3. Smaller than the paper's:
pictures of 336, 64 channels, one convolution in the region head, 200 proposals, batches of 4,
AdamW at 1e-3. Boxes of the classes in `dataset.classes` are learned, of all if it is None; other
names can be asked for afterwards.
Data: `images/ instances.json`, see data/README.md.
Command: dense train configs/train/f_vit_embedded.py --data-root MY_BOXES
Expected: the losses fall; then configs/detect/f_vit_embedded_folder.py, or dense detect
--method f-vit --weights work_dirs/f_vit_embedded/learned.safetensors. Seed 0.
Minutes: about 60 on two cores (estimate: 4 seconds of one core an iteration).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detection_training import *

data_root = "data/my_boxes"
dataset = dict(type=ClassSubset, dataset=dict(type=DetectionFolder, root=data_root), classes=None)
model = dict(
    type=RunnerModel,
    method=dict(
        type=f_vit_student,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
        settings=dict(type=FViTSettings, side=336, channels=64, width=256, convs=1, proposals=200),
    ),
)
train_dataloader = dict(
    type=train_loader,
    dataset=dataset,
    batch_size=4,
    num_workers=2,
    augment=dict(type=detection_augment, side=336, scale=(0.5, 1.5)),
)
optim_wrapper.optimizer.update(lr=1e-3)
param_scheduler[0].update(end=50)
