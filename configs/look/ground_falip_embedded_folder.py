"""Phrases found by foveal attention.

Paper: Zhuang et al., "FALIP", ECCV 2024, arXiv:2407.05578.
Data: phrases with boxes, `images/ referring.json`, see docs/looking.md.
Command: dense evaluate configs/look/ground_falip_embedded_folder.py --data-root MY_PHRASES
Expected: accuracy at IoU .5 among the proposals; with masks, cIoU and mIoU. Not measured yet. Seed
0.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.ground_folder import *

model.method.update(method="falip")
