"""Blur outside the mask, or outside the box where there is none.

Paper: Yang et al., "Fine-Grained Visual Prompting", NeurIPS 2023, arXiv:2306.04356.
Data: boxes with labels, `images/ instances.json`, see data/README.md.
Command: dense evaluate configs/look/fgvp_embedded_folder.py --data-root MY_BOXES
Expected: docs/looking.md; accuracy over all boxes, by thirds of size, and by COCO's sizes. Seed 0.
Minutes: about 1 for 100 pictures with 7 boxes each on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.look_folder import *

model.method.update(method="fgvp")
