"""Guided cropping with three margins.

Paper: Saranrittichai et al., "Zero-Shot Visual Classification with Guided Cropping", 2023,
arXiv:2309.06581.
Data: boxes with labels, `images/ instances.json`, see data/README.md.
Command: dense evaluate configs/look/gc_clip_embedded_folder.py --data-root MY_BOXES
Expected: docs/looking.md; accuracy over all boxes, by thirds of size, and by COCO's sizes. Seed 0.
Minutes: about 2 for 100 pictures with 7 boxes each on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.look_folder import *

model.method.update(method="gc-clip")
