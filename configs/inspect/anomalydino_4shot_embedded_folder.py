"""AnomalyDINO's recipe with four normal pictures of each category, and the packaged model.

Paper: Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2",
WACV 2025, arXiv:2405.14529.
Data: as configs/inspect/winclip_embedded_folder.py, with `train/good` in each category.
Command: python tools/test.py configs/inspect/anomalydino_4shot_embedded_folder.py
         --data-root MY_DATA
Expected: depends on the data and the seed of the support (0; `--seed` changes it); see docs.
Minutes: about 1 for 100 pictures on two cores.
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
        name="anomalydino",
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        shots=4,
    ),
)
