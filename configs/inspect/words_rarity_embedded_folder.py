"""Words and the picture's own patches, zero-shot, with the packaged model.

Paper: ours; compare Li et al., "MuSc", ICLR 2024, arXiv:2401.16753, which needs a whole test set.
Data: as configs/inspect/winclip_embedded_folder.py.
Command: python tools/test.py configs/inspect/words_rarity_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; see docs/anomaly.md for the packaged model's figures.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .winclip_embedded_folder import *

from dense.engine.factories import inspection_method

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspection_method,
        name="words-rarity",
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
    ),
)
