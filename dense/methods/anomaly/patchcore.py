"""PatchCore on CLIP patches: locally aware features, a coreset memory, a re-weighted image score.

Roth et al., "Towards Total Recall in Industrial Anomaly Detection", CVPR 2022, arXiv:2106.08265.
What differs from the paper and its code: the backbone is a Vision Transformer, so all layers have
one resolution and nothing is resized; features have unit length (in each layer, after pooling, and
together), so that no layer outweighs another and distances lie in [0, 2]; the neighbourhood mean
leaves out what lies beyond the edge; the authors' code leaves out equation 7, which is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from dense.backbones.recommended import Recommended
from dense.errors import InputError
from dense.memory import PatchIndex
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.memory import MemoryInspector, MemorySettings
from dense.methods.anomaly.patches import Look


@dataclass(frozen=True, kw_only=True)
class PatchCoreSettings(MemorySettings):
    """The paper's choices; `weighted` is b of equation 7, 1 leaves the maximum as it is."""

    neighbourhood: int = 3
    sigma: float = 4.0
    joint: bool = True
    coreset: float = 0.1
    weighted: int = 9

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.joint or self.neighbours != 1 or self.weighted < 1:
            raise InputError(
                "PatchCore has one joint memory, one neighbour and a weighting of 1 or more, got "
                f"joint {self.joint}, {self.neighbours} and {self.weighted}"
            )


class PatchCoreInspector(MemoryInspector):
    """Few-shot and full-shot inspection by a coreset of normal patches."""

    name = "PatchCore"
    by_distance = False
    settings: PatchCoreSettings

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Euclidean patch distances (gh, gw) and the re-weighted maximum."""
        (index,), (rows,) = self.memory(look.sample.category), self.memory_rows(look)
        found, numbers = index.search(rows)
        distances = euclidean(found[:, 0])
        worst = int(distances.argmax())
        weight = reweighting(index, rows[worst], numbers[worst], self.settings.weighted)
        return distances.view(look.grid), weight * float(distances[worst])

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range of Euclidean distances of unit features."""
        return (0.5, 1.1)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        card = {**super().describe(), "weighted": self.settings.weighted}
        card.pop("top")
        return card


def euclidean(half_distances: Tensor) -> Tensor:
    """Half cosine distances → Euclidean distances of the unit features, in [0, 2]."""
    return 2 * half_distances.sqrt()


def reweighting(index: PatchIndex, patch: Tensor, nearest: Tensor, count: int) -> float:
    """Weight of the image score (equation 7).

    One minus the softmax, over the `count` memory rows around the nearest one, of the patch's
    distance to the nearest: small where the patch is about as far from all of them.

    Args:
        index: The memory.
        patch: (C,) the most abnormal patch.
        nearest: (1,) number of its nearest row.
        count: b; 1 gives weight 1.
    """
    if count == 1 or len(index) == 1:
        return 1.0
    _, around = index.search(index.rows(nearest), count)
    group = torch.cat([nearest, around[0][around[0] != nearest]])[:count]
    rows = index.rows(group)
    unit = torch.nn.functional.normalize(patch.float(), dim=0).to(rows.device)
    distances = (rows - unit).norm(dim=1)
    return float(1 - distances.softmax(0)[0])


def recommended(advice: Recommended, shots: int) -> Callable[..., PatchCoreInspector]:
    """The paper's choices on the layers and at the size that the checkpoint recommends."""
    settings = PatchCoreSettings(layers=advice.memory_layers, short_side=advice.memory_short_side)
    return partial(PatchCoreInspector, settings=settings)


build = builder("patchcore", recommended)
"""Catalogue entry."""
