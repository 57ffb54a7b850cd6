"""DeCLIP: content by CLIPSelf, context by how another tower's patches relate.

Paper: Wang et al., "DeCLIP: Decoupled Learning for Open-Vocabulary Dense Perception", CVPR 2025,
arXiv:2505.04410: context weight .25, DINOv2 as the context teacher; here, for want of its weights,
the frozen tower's own tokens before the last block. Put another tower in by
`model.method.context=dict(type=clip, name=...)` in a copy. Segment with the result by
`--attention qq+kk`, which mixes by the learned context.
Data: as clipself_embedded.
Command: dense train configs/train/declip_embedded.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: a third more than clipself_embedded.
"""

from mmengine.config import read_base

with read_base():
    from .clipself_embedded import *

model.method.terms.update(context=0.25)
