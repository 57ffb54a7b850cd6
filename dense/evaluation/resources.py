"""How long a piece of work takes, and how much memory it needs at most."""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
_CLEAR = Path("/proc/self/clear_refs")
_STATUS = Path("/proc/self/status")


@dataclass
class Usage:
    """What pieces of work used together.

    Attributes:
        seconds: Their time.
        peak: Largest memory in bytes of the process, or of PyTorch's allocator on a GPU, while
            they ran, shared values and weights included; 0 where it cannot be known.
    """

    seconds: float = 0.0
    peak: int = 0

    @contextmanager
    def watch(self, device: torch.device) -> Iterator[None]:
        """Add the work of a ``with`` block."""
        _reset(device)
        begun = time.perf_counter()
        try:
            yield
        finally:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            self.seconds += time.perf_counter() - begun
            self.peak = max(self.peak, _peak(device))


def _reset(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        _trim()
        _CLEAR.write_text("5")  # Linux: forget the largest resident size
    except OSError:
        return


def _trim() -> None:
    """Give freed memory back, else what came before would count; glibc only."""
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim is not None:
        trim(0)


def _peak(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return 0
    found = [line for line in lines if line.startswith("VmHWM:")]
    return int(found[0].split()[1]) << 10 if found else 0
