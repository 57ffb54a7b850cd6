"""APRIL-GAN on anyone's own products, with the packaged model.

Paper: Chen et al., "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation Method for
CVPR 2023 VAND Workshop Challenge Tracks 1&2", arXiv:2305.17382.
Data: MVTec AD's layout, one category or several, see data/README.md. Learned parts: `dense train
configs/train/april_gan_embedded.py`.
Command: python tools/test.py configs/inspect/april_gan_embedded_folder.py --data-root MY_DATA
         four normal pictures of each category: add --shots 4 --seed 0
Expected: depends on the data and on what was learned. No randomness without support.
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
from dense.methods.anomaly.april_gan import build

data_root = "data/my_products"
dataset = dict(type=AnomalyFolder, root=data_root, split="test")
support = dict(dataset=dict(type=AnomalyFolder, root=data_root, split="train"), shots=0, seed=0)

model = dict(
    type=RunnerModel,
    method=dict(
        type=build,
        backbone=dict(type=clip, name="embedded"),
        products=dict(type=product_words, dataset=dataset, words=dict()),
        weights="work_dirs/april_gan_embedded/learned.safetensors",
    ),
)
test_dataloader = dict(type=test_loader, dataset=dataset, batch_size=8)
test_evaluator = [dict(type=AnomalyMetric)]
