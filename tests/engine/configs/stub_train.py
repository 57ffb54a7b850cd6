"""A stub method that can be trained."""

from mmengine.hooks import CheckpointHook
from mmengine.optim import OptimWrapper
from mmengine.runner import IterBasedTrainLoop
from torch.optim import SGD

from dense.datasets import SegmentationFolder
from dense.engine.data import train_loader
from dense.engine.model import RunnerModel
from tests.engine.stubs import Regressor

data_root = "data/nowhere"
model = dict(type=RunnerModel, method=dict(type=Regressor))
train_cfg = dict(type=IterBasedTrainLoop, max_iters=3)
train_dataloader = dict(
    type=train_loader, dataset=dict(type=SegmentationFolder, root=data_root), batch_size=2
)
optim_wrapper = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1, momentum=0.9))
default_hooks = dict(checkpoint=dict(type=CheckpointHook, interval=1, by_epoch=False))
