"""Sliding windows over a batch, and the mean of what they say, on the patch grid."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dense.regions import sliding_starts
from dense.structures import Size

Corner = tuple[int, int]


@dataclass(frozen=True)
class WindowPlan:
    """Where the windows of pictures of one input size lie.

    Attributes:
        size: (h, w) of the input in pixels.
        crop: (h, w) of a window, at most the size.
        corners: (y, x) of each window's top left pixel, multiples of the patch.
        patch: (height, width) of a patch in pixels.
    """

    size: Size
    crop: Size
    corners: tuple[Corner, ...]
    patch: Size

    def batches(
        self, images: Tensor, windows_at_once: int
    ) -> Iterator[tuple[Sequence[Corner], Tensor]]:
        """Yield corners with their windows of all pictures, (corners * B, 3, h', w')."""
        h, w = self.crop
        step = max(1, windows_at_once // len(images))
        for start in range(0, len(self.corners), step):
            chosen = self.corners[start : start + step]
            yield chosen, torch.cat([images[:, :, y : y + h, x : x + w] for y, x in chosen])


def plan_windows(size: Size, patch: Size, crop: int | None, stride: int | None) -> WindowPlan:
    """One window that is the whole picture where it fits into `crop`, else a sliding grid.

    A picture that is smaller than the window on one side is covered by windows of that side.

    Args:
        size: (h, w) of the input in pixels, multiples of the patch.
        patch: (height, width) of a patch.
        crop: Side of a window, a multiple of the patch; ``None`` is the whole picture.
        stride: Step between windows, a multiple of the patch.
    """
    h, w = size
    if crop is None or stride is None or max(h, w) <= crop:
        return WindowPlan(size, size, ((0, 0),), patch)
    side = (min(crop, h), min(crop, w))
    rows, columns = (sliding_starts(s, c, stride) for s, c in zip(size, side, strict=True))
    return WindowPlan(size, side, tuple((y, x) for y in rows for x in columns), patch)


class WindowMean:
    """Adds up the scores of windows of B pictures and divides by how many saw each patch."""

    def __init__(self, plan: WindowPlan, images: int) -> None:
        self._plan = plan
        self._images = images
        self._total: Tensor | None = None
        self._count: Tensor | None = None

    def add(self, corners: Sequence[Corner], scores: Tensor) -> None:
        """Take the scores (corners * B, P, gh', gw') of the windows at some corners."""
        if len(self._plan.corners) == 1:
            self._total = scores
            return
        (ph, pw), (h, w) = self._plan.patch, self._plan.size
        gh, gw = scores.shape[-2:]
        fine = gh * ph // self._plan.crop[0]  # methods may answer on a grid so many times finer
        if self._total is None:
            shape = (self._images, scores.shape[1], fine * h // ph, fine * w // pw)
            self._total = scores.new_zeros(shape, dtype=torch.float32)
            self._count = torch.zeros_like(self._total[:1, :1])
        for (y, x), part in zip(corners, scores.split(self._images), strict=True):
            top, left = fine * y // ph, fine * x // pw
            place = (..., slice(top, top + gh), slice(left, left + gw))
            self._total[place] += part
            if self._count is not None:
                self._count[place] += 1

    def scores(self) -> Tensor:
        """(B, P, gh, gw) means.

        Raises:
            RuntimeError: If no window was added.
        """
        if self._total is None:
            raise RuntimeError("scores() before add(): no window was scored")
        return self._total if self._count is None else self._total / self._count
