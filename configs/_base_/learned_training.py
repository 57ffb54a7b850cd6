"""Shared by trainings of anomaly methods: loop and log; drawn defects as training material."""

from mmengine.config import read_base

with read_base():
    from .training import *

from dense.training.defect_samples import DrawnDefects
from dense.training.states import DefectPairs

default_hooks.checkpoint.update(interval=100)
drawn = dict(type=DrawnDefects, pairs=dict(type=DefectPairs, count=1200, side=224, seed=0))
