"""Stage 3 on a GPU: the whole tower learns from augmented pictures, teachers run in the step.

Paper: as configs/train/embedded.py, without the aligned words, which need a cache.
Data: as configs/train/embedded.py.
Command: torchrun --nproc-per-node 1 tools/train.py configs/train/embedded_gpu.py
         --data-root CAPTIONS
Expected: not measured; compare with `embedded` by `dense models card`. Seed 0.
Minutes: about 0.5 a 100 steps on one current GPU.
"""

from mmengine.config import read_base

with read_base():
    from .embedded import *

from dense.engine.augment import train_augment
from dense.engine.image_stage import item_loader, picture_items

model.method.terms.update(words=0.0, values=0.5)
model.method.settings.update(
    start=0, keep=None, dense_patches=None, input_size=(224, 224), checkpointing=True
)
model.method.update(run_teacher=True)
train_dataloader = dict(
    type=item_loader,
    items=dict(
        type=picture_items,
        captions=trained,
        augment=dict(type=train_augment, size=(260, 260), scale=(0.5, 1.0)),
        pairs=pairs,
        grid=(16, 16),
        every=7,
    ),
    batch_size=192,
    num_workers=12,
)
optim_wrapper.optimizer.update(lr=3e-4)
