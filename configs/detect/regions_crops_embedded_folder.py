"""Patch grouping, the best 100 regions also seen as crops, on anyone's own boxes.

Paper: ours; geometric mean of two scores after Kuo et al., "F-VLM", ICLR 2023, arXiv:2209.15639.
Data: `images/ instances.json`, see data/README.md.
Command: python tools/test.py configs/detect/regions_crops_embedded_folder.py --data-root MY_BOXES
Expected: 10 photos of COCO, 80 names: `ap` 4.2, `ap50` 5.6 (docs/detection.md).
No randomness.
Minutes: about 10 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.detect_folder import *

model.method.update(method="regions-crops")
