"""CorrCLIP on anyone's own pictures with masks, with the packaged model.

Paper: Zhang et al., "CorrCLIP: Reconstructing Patch Correlations in CLIP for Open-Vocabulary
Semantic Segmentation", ICCV 2025, arXiv:2411.10086.
Regions are superpixels, and the second network is CLIP's own middle blocks; the paper's are masks
of SAM and DINO.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/corrclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="corrclip")
