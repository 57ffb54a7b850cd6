"""The soak's judgement of memory: a saw is flat, a leak is not."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools/soak_memory.py"
MIB = 1 << 20


@pytest.mark.parametrize(
    ("leak", "until", "flat"), [(0.0, 600, True), (0.5, 600, False), (0.5, 250, None)]
)
def test_memory_is_judged_by_its_floor(leak: float, until: int, flat: bool | None) -> None:
    """It swings by 150 MiB every half minute; `leak` MiB a second stay."""
    found = importlib.util.spec_from_file_location("soak_memory", TOOL)
    assert found is not None and found.loader is not None
    tool = importlib.util.module_from_spec(found)
    found.loader.exec_module(tool)
    seen = [(float(at), int((800 + at % 30 * 5 + leak * at) * MIB)) for at in range(until)]
    judged = tool.judge_memory({1: seen})
    assert judged["flat"] is flat
    if flat is not None:
        seconds = 320.0  # between the middles of the first and the last third of 480
        assert judged["largest_growth"] == pytest.approx(leak * seconds / 900, abs=0.03)
