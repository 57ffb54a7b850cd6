"""Shared by inspection configs of benchmarks: metric with bounded memory."""

from mmengine.config import read_base

with read_base():
    from .runtime import *

from dense.engine.metrics import AnomalyMetric

test_evaluator = [dict(type=AnomalyMetric, pixel_bins=2**20)]
