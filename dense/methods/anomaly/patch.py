"""Anomaly inspection by patches: words on dense features, and a memory of normal patches.

One forward pass an image, no windows: about a tenth of WinCLIP's work. Without support images the
map is the probability of the anomalous state of every patch (the training-free core of APRIL-GAN,
Chen et al. 2023); after `fit` it is the distance to the nearest remembered patch (PatchCore, Roth
et al. 2022, on CLIP features; AnomalyDINO, Damm et al. 2025, for rotations and the top-1 % score).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.attention import AS_TRAINED
from dense.backbones.recommended import Recommended
from dense.heads.window import anomaly_probability
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.memory import MemoryInspector, MemorySettings
from dense.methods.anomaly.patches import Look, top_mean
from dense.methods.anomaly.words import WordSettings


@dataclass(frozen=True, kw_only=True)
class PatchProtocol(MemorySettings, WordSettings):
    """Settings of `PatchInspector`: those of the features, the memory and the words.

    Attributes:
        block: How the last block makes the dense features that are compared with words.
    """

    block: LastBlock = AS_TRAINED


DEFAULT = PatchProtocol()
ChosenProtocol = TypeVar("ChosenProtocol", bound=PatchProtocol)


def recommended(make: type[ChosenProtocol], advice: Recommended, shots: int) -> ChosenProtocol:
    """The protocol that a checkpoint recommends, with or without support images."""
    return make(
        block=advice.block,
        layers=advice.memory_layers,
        short_side=advice.memory_short_side if shots else advice.words_short_side,
        class_token=advice.class_token_share,
    )


class PatchInspector(MemoryInspector):
    """Zero- and few-shot inspection from one dense forward pass.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        protocol: Settings; state them with any published number.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.
    """

    reads_words = True
    drops_patches = True
    settings: PatchProtocol

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        protocol: PatchProtocol = DEFAULT,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(
            backbone,
            products,
            protocol,
            block=protocol.block,
            batch_size=batch_size,
            threshold=threshold,
        )

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Map and score by the memory of the category, or by words where it has none."""
        if look.sample.category in self._memories:
            return super().score(look)
        weights = self.state_weights(look.sample.category)
        patch_map = look.hide(self._probability(look.dense.permute(1, 2, 0), weights))
        share, whole = self.settings.class_token, self._probability(look.class_token, weights)
        score = (1 - share) * top_mean(patch_map, self.settings.top) + share * float(whole)
        return patch_map, score

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range; distances are lower than probabilities."""
        return super().heat_scale if self._memories else (0.3, 1.0)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            **super().describe(),
            "method": "patch memory" if self._memories else "patch words",
            "class_token": self.settings.class_token,
            "temperature": self.settings.temperature,
            **self.state_words.describe(),
        }

    def _probability(self, features: Tensor, weights: Tensor) -> Tensor:
        return anomaly_probability(features, weights, self.settings.temperature)


build = builder(
    "patch",
    lambda advice, shots: partial(
        PatchInspector, protocol=recommended(PatchProtocol, advice, shots)
    ),
)
"""Catalogue entry: the settings that the checkpoint recommends."""
