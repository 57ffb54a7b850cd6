"""Phrases found among boxes that are cut out.

Paper: Subramanian et al. (ReCLIP), ACL 2022, arXiv:2204.05991, without its parser.
Data: phrases with boxes, `images/ referring.json`, see docs/looking.md.
Command: dense evaluate configs/look/ground_crop_embedded_folder.py --data-root MY_PHRASES
Expected: accuracy at IoU .5 among the proposals; with masks, cIoU and mIoU. Not measured yet. Seed
0.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_folder import *

model.method.update(method="crop")
