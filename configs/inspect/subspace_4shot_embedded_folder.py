"""SubspaceAD's recipe with four normal pictures of each category, and the packaged model.

Paper: "SubspaceAD", CVPR 2026.
Data: as configs/inspect/winclip_embedded_folder.py, with `train/good` in each category.
Command: python tools/test.py configs/inspect/subspace_4shot_embedded_folder.py --data-root MY_DATA
Expected: depends on the data and the seed of the support (0; `--seed` changes it); see docs.
Minutes: about 1 for 100 pictures on two cores, and half of one to fit a category.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_embedded_folder import *

from dense.engine.factories import inspection_method

support.update(shots=4)
model = dict(
    type=RunnerModel,
    method=dict(
        type=inspection_method,
        name="subspace",
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        shots=4,
    ),
)
