"""MaskCLIP on anyone's own pictures with masks, with the packaged model.

Paper: Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071.
The last block and the short side are those that the packaged model recommends for itself; for the
value path of the paper add --cfg-options model.method.attention=value.
Data: `images/ masks/ classes.json`, see data/README.md.
Command: python tools/test.py configs/segment/maskclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.segmentation import *

from dense.datasets import SegmentationFolder
from dense.engine.data import class_names, test_loader
from dense.engine.factories import clip, segmentor
from dense.engine.model import RunnerModel

data_root = "data/my_photos"
dataset = dict(type=SegmentationFolder, root=data_root)

model = dict(
    type=RunnerModel,
    method=dict(
        type=segmentor,
        backbone=dict(type=clip, name="embedded"),
        classes=dict(type=class_names, dataset=dataset),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=4)
