"""WinCLIP, zero-shot, on anyone's own products, with the packaged model.

Paper: Jeong et al., "WinCLIP: Zero-/Few-Shot Anomaly Classification and Segmentation", CVPR 2023,
arXiv:2303.14814.
Data: MVTec AD's layout, one category or several, see data/README.md. A category is called by its
folder's name in the prompts; `model.method.products.words` gives it other words.
Command: python tools/test.py configs/inspect/winclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data; measured examples are in docs. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.runtime import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip, inspector
from dense.engine.metrics import AnomalyMetric
from dense.engine.model import RunnerModel

data_root = "data/my_products"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(
    dataset=dict(type=AnomalyFolder, root=data_root, split="train"),
    shots=0,
    seed=0,
)

model = dict(
    type=RunnerModel,
    method=dict(
        type=inspector,
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8)
test_evaluator = [dict(type=AnomalyMetric)]
