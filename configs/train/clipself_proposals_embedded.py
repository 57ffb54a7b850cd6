"""CLIPSelf with region proposals: as clipself_embedded, on the boxes of a file.

Paper: Wu et al., ICLR 2024, arXiv:2310.01403, section 3.3 (better for detection of things than
grids, which are better for whole scenes).
Data: a folder of photos with a file in COCO's format whose boxes are proposals; their classes do
not matter. `dense detect PHOTOS --classes object --save-proposals FILE` writes one.
Command: dense train configs/train/clipself_proposals_embedded.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: as clipself_embedded.
"""

from mmengine.config import read_base

with read_base():
    from .clipself_embedded import *

train_dataloader.photos.update(proposals="proposals.json")
