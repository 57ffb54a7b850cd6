"""Time and memory of a piece of work, on made-up work of known size."""

from __future__ import annotations

import sys
import time

import pytest
import torch

from dense.evaluation.resources import Usage

CPU = torch.device("cpu")


def test_seconds_add_up_also_when_work_fails() -> None:
    usage = Usage()
    with usage.watch(CPU):
        time.sleep(0.05)
    with pytest.raises(ZeroDivisionError), usage.watch(CPU):
        time.sleep(0.05)
        raise ZeroDivisionError
    assert usage.seconds >= 0.1


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")
def test_peak_is_of_its_own_work_alone() -> None:
    large, small = Usage(), Usage()
    with large.watch(CPU):
        torch.ones(64 << 20).sum()
    with small.watch(CPU):
        torch.ones(1 << 10).sum()
    assert large.peak - small.peak == pytest.approx(256 << 20, rel=0.2)
