"""AdaCLIP on anyone's own products, with the packaged model.

Paper: Cao et al., "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for Zero-Shot Anomaly
Detection", ECCV 2024, arXiv:2407.15795.
Data: MVTec AD's layout, one category or several, see data/README.md. Learned parts: `dense train
configs/train/adaclip_embedded.py`.
Command: python tools/test.py configs/inspect/adaclip_embedded_folder.py --data-root MY_DATA
Expected: depends on the data and on what was learned. No randomness.
Minutes: about 1 for 100 pictures on two cores.
"""

from mmengine.config import read_base

with read_base():
    from .._base_.runtime import *

from dense.datasets import AnomalyFolder
from dense.engine.data import product_words, test_loader
from dense.engine.factories import clip
from dense.engine.metrics import AnomalyMetric
from dense.engine.model import RunnerModel
from dense.methods.anomaly.adaclip import build

data_root = "data/my_products"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")


model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        weights="work_dirs/adaclip_embedded/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8)
test_evaluator = [dict(type=AnomalyMetric)]
