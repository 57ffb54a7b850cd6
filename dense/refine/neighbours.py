"""Weighted means over fixed offsets around each pixel, as one sparse product for all classes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional as F

from dense.structures import Size

Offsets = tuple[tuple[int, int], ...]


def ring(dilations: Sequence[int]) -> Offsets:
    """The 8 neighbours at each dilation, (rows, columns)."""
    steps = (-1, 0, 1)
    return tuple((y * d, x * d) for d in dilations for y in steps for x in steps if y or x)


def square(radius: int) -> Offsets:
    """All offsets of a square window but its centre."""
    side = range(-radius, radius + 1)
    return tuple((y, x) for y in side for x in side if y or x)


def shifted(planes: Tensor, offsets: Offsets) -> Tensor:
    """Planes as seen from each pixel's neighbours. (C, h, w) → (O, C, h, w), border repeated."""
    h, w = planes.shape[-2:]
    reach = max(max(abs(y), abs(x)) for y, x in offsets)
    padded = F.pad(planes[None], (reach,) * 4, mode="replicate")[0]
    return torch.stack(
        [padded[:, reach + y : reach + y + h, reach + x : reach + x + w] for y, x in offsets]
    )


def inside(size: Size, offsets: Offsets) -> Tensor:
    """(O, h, w) bool: the neighbour lies in the picture."""
    ys, xs = torch.arange(size[0])[:, None], torch.arange(size[1])[None]
    return torch.stack(
        [
            (ys + y >= 0) & (ys + y < size[0]) & (xs + x >= 0) & (xs + x < size[1])
            for y, x in offsets
        ]
    )


@lru_cache(maxsize=2)
def _places(size: Size, offsets: Offsets) -> tuple[Tensor, Tensor]:
    """Row starts (N + 1,) and columns (N * O,) int32 of the sparse matrix, border repeated."""
    h, w = size
    ys, xs = torch.arange(h)[:, None], torch.arange(w)[None]
    columns = [(ys + y).clamp(0, h - 1) * w + (xs + x).clamp(0, w - 1) for y, x in offsets]
    index = torch.stack(columns, -1).flatten().int()
    return torch.arange(0, len(index) + 1, len(offsets), dtype=torch.int32), index


class Neighbourhood:
    """The matrix that replaces each pixel by a weighted sum over its neighbours.

    Args:
        weights: (O, h, w), one plane an offset.
        offsets: Where the neighbours stand; beyond the border the border pixel stands in.
    """

    def __init__(self, weights: Tensor, offsets: Offsets) -> None:
        self.size: Size = (weights.shape[1], weights.shape[2])
        starts, columns = _places(self.size, offsets)
        values, count = weights.flatten(1).T.flatten(), self.size[0] * self.size[1]
        self._matrix: csr_array | Tensor
        if weights.device.type == "cpu":
            parts = (values.float().numpy(), columns.numpy(), starts.numpy())
            self._matrix = csr_array(parts, shape=(count, count))
        else:
            place = weights.device
            self._matrix = torch.sparse_csr_tensor(
                starts.to(place), columns.to(place), values.float(), size=(count, count)
            )

    def apply(self, planes: Tensor, times: int = 1) -> Tensor:
        """Apply the matrix to every plane, `times` in a row. (K, h, w) → (K, h, w) fp32.

        All planes of a pixel lie side by side, so a neighbour is fetched once for all classes.
        """
        rows = planes.flatten(1).T.float().contiguous()
        for _ in range(times):
            if isinstance(self._matrix, Tensor):
                rows = self._matrix @ rows
            else:
                rows = torch.from_numpy(self._matrix @ rows.numpy())
        return rows.T.reshape(planes.shape)
