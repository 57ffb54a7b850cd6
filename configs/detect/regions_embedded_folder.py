"""Patch grouping and dense region scores on anyone's own boxes, with the packaged model.

Paper: ours; region scores after Wu et al., "CLIPSelf", ICLR 2024, arXiv:2310.01403.
Data: `images/ instances.json`, see data/README.md.
Command: python tools/test.py configs/detect/regions_embedded_folder.py --data-root MY_BOXES
Expected: 64 photos of COCO, 80 names: `ap` 3.2, `ap50` 4.5 (docs/detection.md).
No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_folder import *
