"""Memory that is free goes back to the system.

The allocator of glibc keeps what was freed, for the next time, in as many places as there are
threads that allocate. So a worker would hold for ever what loading its models and its largest batch
once needed. To give it back at every `free` costs a quarter of the time of judging; now and then it
costs nothing that can be measured.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any


def give_back() -> None:
    """Hand free pages to the system; does nothing where the allocator is not that of glibc."""
    trim = _malloc_trim()
    if trim is not None:
        trim(0)


@cache
def _malloc_trim() -> Any:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # musl, macOS, Windows
        return None
