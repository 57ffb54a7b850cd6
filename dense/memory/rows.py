"""Rows of a memory and the picture that each came from."""

from __future__ import annotations

import torch
from torch import Tensor

from dense.errors import InputError, unknown_name


class RowStore:
    """Unit feature rows by picture; grows and shrinks without copying everything each time.

    Args:
        dim: C, the width of a row.
        dtype: Precision the rows are kept in.
    """

    def __init__(self, dim: int, dtype: torch.dtype = torch.float32) -> None:
        self.dim = dim
        self.images: list[str] = []
        self._rows = torch.empty(0, dim, dtype=dtype)
        self._owners = torch.empty(0, dtype=torch.int64)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    @property
    def rows(self) -> Tensor:
        """(M, C); a view that the next change makes stale."""
        return self._rows[: self._used]

    @property
    def owners(self) -> Tensor:
        """(M,) int64 index into `images`."""
        return self._owners[: self._used]

    def add(self, rows: Tensor, image: str) -> None:
        """Append rows (N, C) of one picture; a picture may come in several parts.

        Raises:
            InputError: If the width differs.
        """
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise InputError(
                f"memory rows must be (N, {self.dim}), got {tuple(rows.shape)}: use the model "
                "and the layers that the memory was made with"
            )
        if image not in self.images:
            self.images.append(image)
        self._reserve(self._used + len(rows), rows.device)
        end = self._used + len(rows)
        self._rows[self._used : end] = rows
        self._owners[self._used : end] = self.images.index(image)
        self._used = end

    def of(self, image: str) -> Tensor:
        """(M,) bool, the rows of a picture.

        Raises:
            InputError: If no picture has that name.
        """
        if image not in self.images:
            raise unknown_name("remembered picture", image, self.images)
        return self.owners == self.images.index(image)

    def keep(self, kept: Tensor) -> None:
        """Drop the rows where (M,) `kept` is false, and pictures that have none left."""
        rows, owners = self.rows[kept], self.owners[kept]
        left, numbers = owners.unique(return_inverse=True)
        self.images = [self.images[int(place)] for place in left]
        self._rows, self._owners, self._used = rows.clone(), numbers, len(rows)

    def _reserve(self, size: int, device: torch.device) -> None:
        if size <= len(self._rows) and self._rows.device == device:
            return
        room = max(size, 2 * self._used)
        grown = torch.empty(room, self.dim, dtype=self._rows.dtype, device=device)
        owners = torch.empty(room, dtype=torch.int64, device=device)
        grown[: self._used], owners[: self._used] = self.rows, self.owners
        self._rows, self._owners = grown, owners
