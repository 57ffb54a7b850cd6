"""Anomaly values in standard deviations of what is normal, so that different signals add up."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

SMALLEST_SPREAD = 1e-4
"""Below, pictures are as good as identical and a deviation would mean nothing."""


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of normal patches, and the mean score of normal pictures."""

    mean: float
    spread: float
    score: float

    @classmethod
    def of(cls, maps: list[Tensor], scores: list[float]) -> Scale:
        """From the maps and scores of normal pictures."""
        values = torch.cat([patch_map[~patch_map.isnan()] for patch_map in maps])
        spread = float(values.std(correction=0).clamp_min(SMALLEST_SPREAD))
        return cls(float(values.mean()), spread, sum(scores) / len(scores))

    def deviations(self, patch_map: Tensor, score: float) -> tuple[Tensor, float]:
        """Standard deviations of patches, and of the score, above what is normal."""
        return (patch_map - self.mean) / self.spread, (score - self.score) / self.spread
