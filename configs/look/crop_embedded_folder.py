"""Each box cut out.

Paper: the simplest region protocol, e.g. Subramanian et al. (ReCLIP), ACL 2022, arXiv:2204.05991.
Data: boxes with labels, `images/ instances.json`, see data/README.md.
Command: dense evaluate configs/look/crop_embedded_folder.py --data-root MY_BOXES
Expected: docs/looking.md; accuracy over all boxes, by thirds of size, and by COCO's sizes. Seed 0.
Minutes: about 1 for 100 pictures with 7 boxes each on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.look_folder import *

model.method.update(method="crop")
