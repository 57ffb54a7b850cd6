"""Trident on anyone's own pictures with masks, with the packaged model.

Paper: Shi et al., "Harnessing Vision Foundation Models for High-Performance, Training-Free Open
Vocabulary Segmentation", ICCV 2025, arXiv:2411.09219.
The second networks are CLIP's own middle blocks; settings provider="dino-b16", aggregator="sam-b"
and aggregator_weights are the paper's.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/trident_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="trident")
