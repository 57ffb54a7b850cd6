"""CLAP, zero-shot, with the packaged model.

Paper: Park et al., "Contrastive Language Prompting to Ease False Positives in Medical Anomaly
Detection", arXiv:2411.07546.
The paper's trained U-Net is replaced by OpenCV's inpainting.
Data: as configs/inspect/winclip_embedded_folder.py.
Command: python tools/test.py configs/inspect/clap_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; see docs.
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
        name="clap",
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
    ),
)
