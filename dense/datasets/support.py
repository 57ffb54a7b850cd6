"""The choice of support images: which k normal pictures a method gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from dense.errors import InputError
from dense.structures import Sample

Item = TypeVar("Item", Sample, Path, str)


def select_support(items: Sequence[Item], shots: int, seed: int = 0) -> list[Item]:
    """Choose `shots` items: sorted by path, permuted by the seed, the first ones taken.

    The choice depends on the set of paths and the seed alone, not on the order the items come
    in, has no repetition, and for the same seed fewer shots are a subset of more. A data set may
    be moved: only the order of the paths matters.

    Args:
        items: Paths, or samples with an `image_path` (samples without keep their order).
        shots: How many, at least 1.
        seed: Chooses among the possible supports.

    Returns:
        The chosen items in sorted order.

    Raises:
        InputError: If there are fewer items than shots, or shots is below 1.
    """
    if shots < 1:
        raise InputError(f"shots must be 1 or more, got {shots}; leave the support out for none")
    if len(items) < shots:
        raise InputError(f"{shots} support images were asked for, but there are only {len(items)}")
    keys = [_key(item) for item in items]
    order = sorted(range(len(items)), key=lambda i: keys[i])
    chosen = np.random.default_rng(seed).permutation(len(items))[:shots]
    return [items[order[i]] for i in sorted(chosen.tolist())]


def _key(item: Sample | Path | str) -> str:
    if isinstance(item, Sample):
        return "" if item.image_path is None else Path(item.image_path).as_posix()
    return Path(item).as_posix()
