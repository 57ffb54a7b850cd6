"""Principal subspaces of features and the residuals outside them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dense.errors import InputError


@dataclass(frozen=True)
class Subspace:
    """An affine subspace.

    Attributes:
        mean: (C,) fp32.
        axes: (k, C) orthonormal rows, fp32, largest variance first.
    """

    mean: Tensor
    axes: Tensor

    def residual(self, rows: Tensor) -> Tensor:
        """Distance of rows (..., C) to the subspace, (...)."""
        centred = rows.float() - self.mean
        return (centred - centred @ self.axes.T @ self.axes).norm(dim=-1)


def fit_subspace(rows: Tensor, variance: float) -> Subspace:
    """Principal components that keep a share of the variance, computed in fp64.

    Args:
        rows: (M, C), at least two that differ.
        variance: Share in (0, 1); the fewest components that reach it are kept.

    Raises:
        InputError: If all rows are equal.
    """
    points = rows.double()
    mean = points.mean(0)
    centred = points - mean
    spread, axes = torch.linalg.eigh(centred.T @ centred)
    spread, axes = spread.flip(0).clamp_min(0), axes.flip(1).T
    total = spread.sum()
    if total <= 1e-12 * len(points):
        raise InputError(
            "all patches of the support are alike: a subspace needs pictures with some structure"
        )
    kept = int((spread.cumsum(0) / total < variance).sum()) + 1
    return Subspace(mean.float(), axes[:kept].float().contiguous())
