"""MaskCLIP whose class parts are cut out anew by GrabCut, on anyone's own pictures with masks.

Paper: Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071; Rother et
al., "GrabCut", SIGGRAPH 2004. The combination is ours. With a segment-anything checkpoint:
`--cfg-options model.method.refine="['sam:FILE']"`.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/maskclip_grabcut_embedded_folder.py
         --data-root MY_DATA
Expected: depends on the data; not measured yet. No randomness.
Minutes: 1 to 2 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segment_folder import *

model["method"].update(method="maskclip", refine=["grabcut"])
