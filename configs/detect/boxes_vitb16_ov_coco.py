"""Names for the true boxes of OV-COCO, ViT-B/16 of OpenAI.

Paper: ground-truth boxes of Zhong et al., "RegionCLIP", CVPR 2022, arXiv:2112.09106, table 4.
Data: COCO `val2017/` and `annotations/instances_val2017.json` in data/coco.
Command: python tools/test.py configs/detect/boxes_vitb16_ov_coco.py --data-root data/coco
Expected: not run here. No randomness.
Minutes: about 10 on a GPU (estimate).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_coco import *

model.method.update(method="boxes")
