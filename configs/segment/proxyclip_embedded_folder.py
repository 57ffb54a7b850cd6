"""ProxyCLIP on anyone's own pictures with masks, with the packaged model.

Paper: Lan et al., "ProxyCLIP: Proxy Attention Improves CLIP for Open-Vocabulary
Segmentation", ECCV 2024, arXiv:2408.04883.
The second network is CLIP's own middle blocks; settings provider="dino-b8" is the paper's.
The input size is what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/proxyclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="proxyclip")
