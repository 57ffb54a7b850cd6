"""The packaged model's own advice on anyone's own pictures with masks, with the packaged model.

Paper: the last block chosen for the packaged model, see docs/model-card.md.
The last block, centring and input size are what the packaged model recommends for itself.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/recommended_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *
