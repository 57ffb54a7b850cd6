"""Large and oblong pictures in overlapping tiles: which parts, and how their maps come together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError, unknown_name
from dense.images import resize_map
from dense.regions import sliding_starts
from dense.structures import Size

Box = tuple[int, int, int, int]
"""Top, left, bottom, right in original pixels; the lower ends are not included."""

KINDS = ("whole", "square", "native")
SCORES = ("mean", "max")


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut before each part is resized to the input.

    Attributes:
        kind: ``"whole"`` squashes the picture; ``"square"`` cuts squares of the short side, so
            that nothing is distorted; ``"native"`` cuts tiles of the input's own pixels, so that
            no detail is lost (small pictures as ``"square"``). With an input that is not square
            the tiles have its aspect.
        step: Distance of neighbouring tiles as a share of their side.
        zoom: Original pixels for each input pixel of a native tile: 2 halves the resolution.
        score: Image score from the tiles' scores. The mean is what WinCLIP's followers use for
            oblong pictures; with many tiles a small defect drowns in it, and the max does not.
    """

    kind: Literal["whole", "square", "native"] = "whole"
    step: float = 0.8
    zoom: float = 1.0
    score: Literal["mean", "max"] = "mean"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("tiling", self.kind, KINDS)
        if self.score not in SCORES:
            raise unknown_name("score of tiles", self.score, SCORES)
        if not 0 < self.step <= 1:
            raise InputError(
                f"step is {self.step}, expected a share of the tile in (0, 1]: above 1 the tiles "
                "would leave gaps"
            )
        if not self.zoom > 0:
            raise InputError(f"zoom is {self.zoom}, expected original pixels per input pixel, > 0")


WHOLE = Tiling()
SQUARES = Tiling("square")


def tile_boxes(size: Size, tiling: Tiling, input_size: Size) -> list[Box]:
    """Tiles that cover a picture, row-major; the last of each axis is shifted inside.

    Args:
        size: (H, W) of the picture.
        tiling: How it is cut.
        input_size: (h, w) that each tile will be resized to.
    """
    if tiling.kind == "whole":
        return [(0, 0, *size)]
    scale = min(side / wanted for side, wanted in zip(size, input_size, strict=True))
    if tiling.kind == "native":
        scale = min(scale, tiling.zoom)
    tile = [max(1, round(wanted * scale)) for wanted in input_size]
    tops, lefts = (
        sliding_starts(length, side, max(1, int(tiling.step * side)))
        for length, side in zip(size, tile, strict=True)
    )
    return [(top, left, top + tile[0], left + tile[1]) for top in tops for left in lefts]


def blend(
    maps: Sequence[NDArray[np.floating]], boxes: Sequence[Box], size: Size
) -> NDArray[np.float32]:
    """Maps of tiles (gh, gw) → one map (H, W) without seams, 0 where there is no tile.

    Each is resized bilinearly to its tile; where tiles overlap, their weights fall linearly
    towards their borders. One tile of the whole picture is only resized.
    """
    if list(boxes) == [(0, 0, *size)]:
        return resize_map(maps[0], size)
    total, weight = np.zeros(size, np.float32), np.zeros(size, np.float32)
    for scores, (top, left, bottom, right) in zip(maps, boxes, strict=True):
        height, width = bottom - top, right - left
        share = tent(height)[:, None] * tent(width)
        total[top:bottom, left:right] += share * resize_map(scores, (height, width))
        weight[top:bottom, left:right] += share
    return np.divide(total, weight, out=total, where=weight > 0)


def tile_score(scores: Sequence[float], tiling: Tiling) -> float:
    """Image score from those of the tiles."""
    return max(scores) if tiling.score == "max" else sum(scores) / len(scores)


def tent(length: int) -> NDArray[np.float32]:
    """Weights that fall from the middle towards both ends, nowhere zero."""
    places = np.arange(length, dtype=np.float32) + 0.5
    return np.minimum(places, length - places)
