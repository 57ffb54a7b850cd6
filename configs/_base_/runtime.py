"""Shared by all configs: seed, log, test loop."""

from mmengine.runner import TestLoop

randomness = dict(seed=0)
log_level = "INFO"
test_cfg = dict(type=TestLoop)
