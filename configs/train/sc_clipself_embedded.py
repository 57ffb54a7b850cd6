"""SC-CLIPSelf: CLIPSelf that also keeps how the places of a region relate in the frozen tower.

Paper: Qiu et al., "Refining CLIP's Spatial Awareness: A Visual-Centric Perspective", ICLR 2025,
arXiv:2504.02328. Weight and temperatures of the correlation are ours: the authors' are not known
to us and their code is not published.
Data: as clipself_embedded.
Command: dense train configs/train/sc_clipself_embedded.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: a third more than clipself_embedded.
"""

from mmengine.config import read_base

with read_base():
    from .clipself_embedded import *

model.method.terms.update(correlation=0.2)
