"""Attention-based selection: 8 crops and 50 in feature space.

Paper: Cai et al., "From Local Details to Global Context: Advancing Vision-Language Models with
Attention-Based Selection", ICML 2025, arXiv:2505.13233.
Data: boxes with labels, `images/ instances.json`, see data/README.md.
Command: dense evaluate configs/look/abs_embedded_folder.py --data-root MY_BOXES
Expected: docs/looking.md; accuracy over all boxes, by thirds of size, and by COCO's sizes. Seed 0.
Minutes: about 6 for 100 pictures with 7 boxes each on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.look_folder import *

model.method.update(method="abs")
