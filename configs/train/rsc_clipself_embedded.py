"""R-SC-CLIPSelf: the correlations come through a refiner that learns on the frozen tower.

Paper: Qiu et al., ICLR 2025, arXiv:2504.02328, section 3.3. The refiner's size and objective, the
weight and the temperatures are ours (see `dense.training.refiner`).
Data: as clipself_embedded.
Command: dense train configs/train/rsc_clipself_embedded.py --data-root PHOTOS
Expected: not measured yet. Seed 0.
Minutes: twice clipself_embedded: the crops' patches are needed, too.
"""

from mmengine.config import read_base

with read_base():
    from .clipself_embedded import *

model.method.terms.update(refined=0.2)
optim_wrapper.update(paramwise_cfg=dict(rates={"refiner": 10.0}))
