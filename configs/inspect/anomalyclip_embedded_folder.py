"""AnomalyCLIP on anyone's own products, with the packaged model.

Paper: Zhou et al., "AnomalyCLIP: Object-agnostic Prompt Learning for Zero-shot Anomaly Detection",
ICLR 2024, arXiv:2310.18961.
Data: MVTec AD's layout, one category or several, see data/README.md. Learned parts: `dense train
configs/train/anomalyclip_embedded.py`.
Command: python tools/test.py configs/inspect/anomalyclip_embedded_folder.py --data-root MY_DATA
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
from dense.methods.anomaly.anomalyclip import build

data_root = "data/my_products"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")


model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        weights="work_dirs/anomalyclip_embedded/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8)
test_evaluator = [dict(type=AnomalyMetric)]
