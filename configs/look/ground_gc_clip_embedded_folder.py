"""Phrases found among boxes with three margins.

Paper: Saranrittichai et al., 2023, arXiv:2309.06581, there for classes.
Data: phrases with boxes, `images/ referring.json`, see docs/looking.md.
Command: dense evaluate configs/look/ground_gc_clip_embedded_folder.py --data-root MY_PHRASES
Expected: accuracy at IoU .5 among the proposals; with masks, cIoU and mIoU. Not measured yet. Seed
0.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_folder import *

model.method.update(method="gc-clip")
