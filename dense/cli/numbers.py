"""Numbers on the command line: parsers for argparse that refuse what no command can use."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from typing import Literal, TypeVar

Number = TypeVar("Number", int, float)


def between(low: float, high: float) -> Callable[[str], float]:
    """A parser of numbers from `low` to `high`, both included; infinite bounds stay out."""
    wanted = "be a finite number" if math.isinf(high) else f"lie in [{low:g}, {high:g}]"

    def parse(text: str) -> float:
        value = _read(float, text, wanted)
        if not (low <= value <= high and math.isfinite(value)):
            raise argparse.ArgumentTypeError(f"must {wanted}, got {text}")
        return value

    return parse


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """A parser of whole numbers from `low`, to `high` if there is one."""
    wanted = f"be a whole number of {low} or more" if high is None else f"lie in [{low}, {high}]"

    def parse(text: str) -> int:
        value = _read(int, text, wanted)
        if value < low or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"must {wanted}, got {text}")
        return value

    return parse


finite = between(-math.inf, math.inf)
share = between(0, 1)
count = whole(1)
seed = whole(0, 2**32 - 1)
side = whole(16, 4096)


def share_or_otsu(text: str) -> float | Literal["otsu"]:
    """Read a probability, or ``otsu``."""
    return "otsu" if text == "otsu" else share(text)


def native_or_side(text: str) -> int:
    """Read a side in pixels, or ``native``, which is 0."""
    return 0 if text == "native" else count(text)


def _read(kind: Callable[[str], Number], text: str, wanted: str) -> Number:
    try:
        return kind(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must {wanted}, got {text!r}") from None
