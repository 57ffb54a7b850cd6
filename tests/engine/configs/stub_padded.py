"""As stub_segment, with a sampler that pads."""
# ruff: noqa: F403, F405

from mmengine.config import read_base

with read_base():
    from .stub_segment import *

from tests.engine.stubs import padded_loader

test_dataloader = dict(type=padded_loader, dataset=dataset)
