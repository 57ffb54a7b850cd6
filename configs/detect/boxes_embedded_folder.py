"""Names for the true boxes, with the packaged model: average precision without localisation.

Paper: the ground-truth-box protocol of Zhong et al., "RegionCLIP", CVPR 2022, arXiv:2112.09106.
Data: `images/ instances.json`, see data/README.md.
Command: python tools/test.py configs/detect/boxes_embedded_folder.py --data-root MY_BOXES
Expected: 64 photos of COCO, 80 names: `ap50` 8.6 (docs/detection.md).
No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_folder import *

model.method.update(method="boxes")
