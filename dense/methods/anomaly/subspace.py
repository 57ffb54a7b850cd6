"""SubspaceAD's recipe on CLIP patches: what the principal subspace of normal patches cannot say.

"SubspaceAD", CVPR 2026 (training-free few-shot anomaly detection by subspace modelling). Features
of several middle layers are averaged; a principal-component analysis of the patches of normal
pictures and their rotations keeps 99 % of the variance; a patch is as abnormal as its residual is
long. What differs: the backbone is a CLIP, read at the layers and the size that the checkpoint
recommends (theirs: layers -12 to -18 of DINOv2 giant with registers at 672 pixels), layers have
unit length before they are averaged, and the rotations are evenly spaced instead of drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.recommended import Recommended
from dense.errors import InputError
from dense.heads.subspace import Subspace, fit_subspace
from dense.methods.anomaly.base import builder, by_category, fitted
from dense.methods.anomaly.patches import Look, PatchFeatureInspector, PatchSettings, top_mean
from dense.structures import Sample


@dataclass(frozen=True, kw_only=True)
class SubspaceSettings(PatchSettings):
    """The paper's choices; `variance` is the share that the subspace keeps."""

    rotations: int = 30
    sigma: float = 4.0
    variance: float = 0.99

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.variance < 1:
            raise InputError(f"variance must lie between 0 and 1, got {self.variance}")


class SubspaceInspector(PatchFeatureInspector):
    """Few-shot inspection by the residual outside the subspace of normal patches."""

    settings: SubspaceSettings

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        settings: SubspaceSettings,
        *,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(backbone, products, settings, batch_size=batch_size, threshold=threshold)
        self._subspaces: dict[str, Subspace] = {}
        self._shots: dict[str, int] = {}

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> SubspaceInspector:
        """Learn the subspaces of the categories that occur, replacing what was there.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        for category, chosen in by_category(support):
            rows = torch.cat([mean_rows(look) for look in self.look(self.turned(chosen))])
            self._subspaces[category] = fit_subspace(rows, self.settings.variance)
            self._shots[category] = len(chosen)
        return self

    def subspace(self, category: str = "") -> Subspace:
        """The subspace of a fitted category.

        Raises:
            NotFittedError: If `fit` has not seen the category.
        """
        return fitted(self._subspaces, category)

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Residual lengths (gh, gw) and the mean of the highest."""
        residual = self.subspace(look.sample.category).residual(mean_rows(look))
        patch_map = residual.view(look.grid)
        return patch_map, top_mean(patch_map, self.settings.top)

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range of residual lengths."""
        return (0.08, 0.25)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            "method": "SubspaceAD",
            **self.describe_features(),
            "variance": self.settings.variance,
            "dimensions": {name: len(s.axes) for name, s in sorted(self._subspaces.items())},
            "shots": sorted(set(self._shots.values())),
        }


def mean_rows(look: Look) -> Tensor:
    """(N, C) unit features averaged over the layers."""
    return torch.stack(look.rows()).mean(0)


def recommended(advice: Recommended, shots: int) -> Callable[..., SubspaceInspector]:
    """The paper's choices on the layers and at the size that the checkpoint recommends."""
    settings = SubspaceSettings(layers=advice.memory_layers, short_side=advice.memory_short_side)
    return partial(SubspaceInspector, settings=settings)


build = builder("subspace", recommended)
"""Catalogue entry."""
