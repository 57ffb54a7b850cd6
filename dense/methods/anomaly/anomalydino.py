"""AnomalyDINO's recipe on CLIP patches: nearest neighbours, turned references, top-1 % score.

Damm et al., "AnomalyDINO: Boosting Patch-based Few-shot Anomaly Detection with DINOv2", WACV 2025,
arXiv:2405.14529. What differs from the paper and its code: the backbone is a CLIP, read at the
layers and the size that the checkpoint recommends (theirs: the last layer of DINOv2 ViT-S/14 at
448 pixels); distances are half as large; turned references replicate their edge instead of
mirroring it; the foreground threshold is in standard deviations of the first principal component,
because theirs (10) is in units of DINOv2's features.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dense.backbones.recommended import Recommended
from dense.heads.foreground import foreground_mask
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.memory import MemoryInspector, MemorySettings
from dense.methods.anomaly.patches import Look


@dataclass(frozen=True, kw_only=True)
class AnomalyDINOSettings(MemorySettings):
    """The paper's choices.

    Attributes:
        foreground: Threshold of the foreground mask (`dense.heads.foreground`); background patches
            count as normal. ``None``, the default, uses every patch: whether a product profits is
            to be decided by its normal pictures, as the paper does. 0.4 is near the paper's value.
    """

    rotations: int = 8
    sigma: float = 4.0
    foreground: float | None = None


class AnomalyDINOInspector(MemoryInspector):
    """Few-shot inspection by the nearest remembered patch."""

    name = "AnomalyDINO"
    settings: AnomalyDINOSettings

    def weigh(self, look: Look, distance: Tensor) -> tuple[Tensor, float]:
        """Patch distances (gh, gw), 0 on the background, and the mean of the highest."""
        if self.settings.foreground is not None:
            rows = torch.cat(look.rows(), 1)
            mask = foreground_mask(rows, look.grid, self.settings.foreground)
            distance = distance.masked_fill(~mask.to(distance.device), 0.0)
        return super().weigh(look, distance)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {**super().describe(), "foreground": self.settings.foreground}


def recommended(advice: Recommended, shots: int) -> Callable[..., AnomalyDINOInspector]:
    """The paper's choices on the layers and at the size that the checkpoint recommends."""
    settings = AnomalyDINOSettings(layers=advice.memory_layers, short_side=advice.memory_short_side)
    return partial(AnomalyDINOInspector, settings=settings)


build = builder("anomalydino", recommended)
"""Catalogue entry."""
