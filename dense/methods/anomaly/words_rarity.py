"""Words and the picture's own patches: zero-shot inspection by what is abnormal and what is rare.

A defect is what the words for damage say, and also what the rest of the picture does not repeat.
The second needs no other picture: unlike MuSc (Li et al., ICLR 2024, arXiv:2401.16753), which
compares the unlabelled pictures under test with each other, every picture is judged alone. Both
signals are measured in standard deviations of normal patches before they are added. With no normal
picture of the product at hand, drawn surfaces (`dense.datasets.surfaces`) stand in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.attention import AS_TRAINED
from dense.backbones.recommended import Recommended
from dense.datasets.surfaces import make_surface
from dense.errors import InputError
from dense.heads.rarity import rarity
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.patches import Look, PatchFeatureInspector, top_mean
from dense.methods.anomaly.scale import Scale
from dense.methods.anomaly.words import WordSettings, text_logits
from dense.prompts import StateWords
from dense.structures import Sample

SURFACE_SIDE = 448
"""Pixels of a drawn surface; pictures of any size are resized to the same input."""


@dataclass(frozen=True, kw_only=True)
class WordsRaritySettings(WordSettings):
    """Settings of `WordsRarityInspector`, all set beforehand: equal shares.

    Attributes:
        neighbours: Most similar patches that a patch is compared with.
        apart: Patches nearer than this do not count: a defect is several patches wide.
        share: Weight of rarity in map and score, in [0, 1]; words have the rest.
        surfaces: Drawn surfaces that say what is normal.
        seed: Of the surfaces.
    """

    neighbours: int = 4
    apart: int = 2
    share: float = 0.5
    surfaces: int = 12
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.share <= 1 or min(self.neighbours, self.apart, self.surfaces) < 1:
            raise InputError(
                "share must lie in [0, 1], neighbours, apart and surfaces be at least 1, got "
                f"{self.share}, {self.neighbours}, {self.apart} and {self.surfaces}"
            )


class WordsRarityInspector(PatchFeatureInspector):
    """Zero-shot inspection by words and rarity. Maps and scores are in standard deviations.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        settings: State them with any published number.
        block: How the last block makes the dense features that are compared with words.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.
    """

    reads_words = True
    drops_patches = True
    settings: WordsRaritySettings

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        settings: WordsRaritySettings,
        *,
        block: LastBlock = AS_TRAINED,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(
            backbone, products, settings, block=block, batch_size=batch_size, threshold=threshold
        )
        self._by_words: dict[str, Scale] = {}

    def steer(self, state_words: StateWords) -> WordsRarityInspector:
        """See the base class."""
        self._by_words.clear()
        super().steer(state_words)
        return self

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Map and score in standard deviations of normal patches."""
        share = self.settings.share
        logits, text = self._words_scale(look.sample.category).deviations(*self._text_logits(look))
        far = self._rarity(look)
        rare, score = self._rarity_scale.deviations(far, top_mean(far, self.settings.top))
        return (1 - share) * logits + share * rare, (1 - share) * text + share * score

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range in standard deviations."""
        return (1.0, 6.0)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        settings = self.settings
        return {
            "method": "words and rarity",
            **self.describe_features(),
            "temperature": settings.temperature,
            "class_token": settings.class_token,
            "neighbours": settings.neighbours,
            "apart": settings.apart,
            "share": settings.share,
            "surfaces": settings.surfaces,
            "seed": settings.seed,
            **self.state_words.describe(),
        }

    def _words_scale(self, category: str) -> Scale:
        """What the words of a category say of normal surfaces, measured once."""
        if category not in self._by_words:
            looks = [
                replace(look, sample=replace(look.sample, category=category))
                for look in self._surfaces
            ]
            texts = [self._text_logits(look) for look in looks]
            scores = [score for _, score in texts]
            self._by_words[category] = Scale.of([logits for logits, _ in texts], scores)
        return self._by_words[category]

    def _text_logits(self, look: Look) -> tuple[Tensor, float]:
        return text_logits(look, self.state_weights(look.sample.category), self.settings)

    def _rarity(self, look: Look) -> Tensor:
        """Mean rarity of the chosen layers, (gh, gw)."""
        near, count = look.near(self.settings.apart), self.settings.neighbours
        return look.place(torch.stack([rarity(row, near, count) for row in look.rows()]).mean(0))

    @cached_property
    def _surfaces(self) -> list[Look]:
        """Drawn normal surfaces, looked at once."""
        rng = np.random.default_rng(self.settings.seed)
        drawn = (make_surface(SURFACE_SIDE, rng).image for _ in range(self.settings.surfaces))
        return list(self.look([Sample(image) for image in drawn]))

    @cached_property
    def _rarity_scale(self) -> Scale:
        maps = [self._rarity(look) for look in self._surfaces]
        return Scale.of(maps, [top_mean(one, self.settings.top) for one in maps])


def recommended(advice: Recommended, _shots: int) -> Callable[..., WordsRarityInspector]:
    """Layers, input side and share of the class token as the checkpoint recommends for words."""
    settings = WordsRaritySettings(
        layers=advice.memory_layers,
        short_side=advice.words_short_side,
        class_token=advice.class_token_share,
    )
    return partial(WordsRarityInspector, settings=settings, block=advice.block)


build = builder("words-rarity", recommended)
"""Catalogue entry."""
