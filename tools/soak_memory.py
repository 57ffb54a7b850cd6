"""Whether the memory of processes that were watched is flat, for `soak_serve.py`."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

WARM_UP, WATCHED = 120.0, 180.0
"""Seconds of a worker that do not count, and that it must live on for its memory to be judged."""
GROWTH = 0.1
"""Share by which its floor may rise from the first third of that time to the last."""


def judge_memory(samples: dict[int, list[tuple[float, int]]]) -> dict[str, object]:
    """Whether the floors of workers' memory rise.

    Memory goes up and down with the size of batches, and free pages are given back now and then.
    What a worker cannot give back is its floor: the lowest tenth of a time. A leak lifts it.

    Args:
        samples: By worker (seconds, bytes) as they were seen.
    """
    rows = []
    for pid, seen in samples.items():
        begin, end = seen[0][0] + WARM_UP, seen[-1][0]
        if end - begin < WATCHED:
            continue
        third = (end - begin) / 3
        first = [size for at, size in seen if begin <= at <= begin + third]
        last = [size for at, size in seen if at >= end - third]
        floors = [statistics.quantiles(part, n=10)[0] / 2**20 for part in (first, last)]
        row = {
            "pid": pid,
            "seconds": round(end - begin),
            "growth": round(floors[1] / floors[0] - 1, 4),
        }
        peak = round(max(size for _, size in seen) / 2**20, 1)
        rows.append({**row, "floor_mib": [round(one, 1) for one in floors], "peak_mib": peak})
    worst = max((row["growth"] for row in rows), default=None)  # type: ignore[type-var]
    return {
        "warm_up_seconds": WARM_UP,
        "workers": rows,
        "largest_growth": worst,
        "flat": None if worst is None else worst <= GROWTH,  # type: ignore[operator]
    }


def resident(pid: int) -> int:
    """Bytes of memory of a process, 0 if it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
