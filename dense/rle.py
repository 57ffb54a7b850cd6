"""COCO's run-length masks: column by column, runs of 0 and 1 in turn, maybe packed as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.structures import Size

_FORM = '{"size": [height, width], "counts": runs or packed text}'


def decode_rle(rle: Mapping[str, object], size: Size, owner: str) -> NDArray[np.bool_]:
    """Read a run-length mask.

    Args:
        rle: ``{"size": [H, W], "counts": list of runs, or COCO's packed text}``.
        size: (H, W) that it must have: that of its picture.
        owner: Whose mask it is, for messages.

    Returns:
        (H, W) bool.

    Raises:
        InputError: If it is of another form or size, or its runs do not fill the picture.
    """
    counts, given = rle.get("counts"), rle.get("size")
    if not isinstance(given, list | tuple) or len(given) != 2 or counts is None:
        raise InputError(f"the mask of {owner} is no run-length mask: expected {_FORM}")
    if tuple(given) != tuple(size):
        raise InputError(
            f"the mask of {owner} is {tuple(given)} (height, width), but its picture is {size}: "
            "bring the mask of this very picture, or resize it"
        )
    if isinstance(counts, bytes | str):
        runs = _unpack(counts.encode() if isinstance(counts, str) else counts)
    else:
        runs = list(counts) if isinstance(counts, Sequence) else []
    whole = all(isinstance(run, int) and run >= 0 for run in runs)
    if not whole or sum(runs) != size[0] * size[1]:
        raise InputError(
            f"the runs of the mask of {owner} do not fill its picture of {size[0] * size[1]} pixels"
        )
    values = np.arange(len(runs)) % 2 == 1
    return np.repeat(values, runs).reshape(size, order="F")


def encode_rle(mask: NDArray[np.bool_]) -> dict[str, object]:
    """Write a mask (H, W) as COCO's packed run-length mask."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [True]])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    last = mask.size
    stops = edges if len(edges) and edges[-1] == last else np.append(edges, last)
    runs = np.diff(np.concatenate([[0], stops])).tolist()
    size = [int(side) for side in mask.shape]
    return {"size": size, "counts": _pack(runs).decode("ascii")}


def _pack(runs: Sequence[int]) -> bytes:
    """Runs as differences to the one before last, five bits a letter, sign in the last letter."""
    out = bytearray()
    for place, run in enumerate(runs):
        value = run - runs[place - 2] if place > 2 else run
        more = True
        while more:
            letter = value & 31
            value >>= 5
            more = value != (-1 if letter & 16 else 0)
            out.append(48 + (letter | 32 if more else letter))
    return bytes(out)


def _unpack(text: bytes) -> list[int]:
    """The reverse; broken text gives runs that do not fill the picture."""
    runs: list[int] = []
    value = shift = 0
    for byte in text:
        letter = byte - 48
        value |= (letter & 31) << shift
        shift += 5
        if letter & 32:
            continue
        if letter & 16:
            value |= -1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs
