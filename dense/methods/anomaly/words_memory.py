"""Words and memory from one forward pass: the idea of WinCLIP+ without windows or test data.

WinCLIP+ (Jeong et al., CVPR 2023, section 4.3) adds text and memory maps as they come. Here each
is first measured in standard deviations above the normal pictures themselves: memory distances by
leaving each support picture out of its own memory, text logits by the support's own. Nothing is
taken from the pictures under test, and one weight means the same for every model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.recommended import Recommended
from dense.errors import InputError
from dense.heads.rarity import rarity
from dense.memory.files import read_measures
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.memory import Lesson
from dense.methods.anomaly.patch import PatchInspector, PatchProtocol, recommended
from dense.methods.anomaly.patches import Look, top_mean
from dense.methods.anomaly.scale import Scale
from dense.methods.anomaly.words import text_logits


@dataclass(frozen=True, kw_only=True)
class WordsMemoryProtocol(PatchProtocol):
    """Settings of `WordsMemoryInspector`.

    Attributes:
        top: Defects may be small: fewer patches count than in a plain memory.
        rotations: Support pictures are turned only if that pays, see `turn_gain`.
        turn_gain: Turned copies stay in the memory if they bring the support pictures, each left
            out once, nearer to it than this share of the distance without them: parts that lie
            any way round do, oriented ones and most textures do not. One picture alone cannot
            tell and is turned.
        map_words: Weight of the words in the map, in [0, 1]; the memory has the rest.
        score_words: Weight of the words in the image score.
        apart: With one support picture its own patches stand in for others; those nearer than
            this many patches are left out.
    """

    top: float = 0.003
    rotations: int = 8
    turn_gain: float = 0.85
    map_words: float = 0.35
    score_words: float = 0.35
    apart: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (0 <= self.map_words <= 1 and 0 <= self.score_words <= 1) or self.apart < 1:
            raise InputError(
                "map_words and score_words must lie in [0, 1] and apart be at least 1, got "
                f"{self.map_words}, {self.score_words} and {self.apart}"
            )
        if not 0 <= self.turn_gain <= 1:
            raise InputError(f"turn_gain must lie in [0, 1], got {self.turn_gain}")


class WordsMemoryInspector(PatchInspector):
    """Few-shot inspection by words and memory together; words alone without support.

    Maps and scores are in standard deviations of normal patches (0: like the normal pictures).

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        protocol: Settings; state them with any published number.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.
    """

    settings: WordsMemoryProtocol

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        protocol: WordsMemoryProtocol,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(
            backbone, products, protocol=protocol, batch_size=batch_size, threshold=threshold
        )
        self._scales: dict[str, tuple[Scale, Scale]] = {}

    def remember(self, category: str, lessons: Iterable[Lesson]) -> None:
        """Put pictures into the memory of a category and measure what is normal.

        Raises:
            InputError: If the category is remembered already: the scales need all pictures.
        """
        if category in self._memories:
            raise InputError(
                "words-memory measures its scales on all normal pictures together: call fit with "
                "the old and the new ones instead of add"
            )
        lessons = list(lessons)
        upright = [lesson for lesson in lessons if lesson.turn == 0]
        super().remember(category, lessons)
        self._scales[category] = self._measure(upright)
        if len(upright) == len(lessons) or len({lesson.image for lesson in upright}) == 1:
            return
        turned, by_turned = self._memories.pop(category), self._scales[category]
        super().remember(category, upright)
        self._scales[category] = self._measure(upright)
        if by_turned[1].mean <= self.settings.turn_gain * self._scales[category][1].mean:
            self._memories[category], self._scales[category] = turned, by_turned

    def weigh(self, look: Look, distance: Tensor) -> tuple[Tensor, float]:
        """Map and score in standard deviations, by the memory and by words."""
        by_words, by_memory = self._scales[look.sample.category]
        logits, text = by_words.deviations(*self._text_logits(look))
        far, score = by_memory.deviations(distance, top_mean(distance, self.settings.top))
        settings = self.settings
        patch_map = settings.map_words * logits + (1 - settings.map_words) * far
        return patch_map, settings.score_words * text + (1 - settings.score_words) * score

    def remove(self, image: object, category: str = "") -> int:
        """Not possible here, see `remember`."""
        raise InputError("words-memory cannot forget one picture: call fit with those that remain")

    def measures(self) -> dict[str, Tensor]:
        """The scales of each category, (2, 3): mean, spread and score of words and of memory."""
        rows = {
            category: [[scale.mean, scale.spread, scale.score] for scale in scales]
            for category, scales in self._scales.items()
        }
        return {name: torch.tensor(row, dtype=torch.float64) for name, row in rows.items()}

    def load_memory(self, path: str | Path) -> WordsMemoryInspector:
        """Replace memories and scales by those of a file.

        Raises:
            InputError: If it is no such file, was made with other weights or settings, or by a
                method without scales.
        """
        super().load_memory(path)
        found = read_measures(path)
        sound = all(
            name in found and found[name].shape == (2, 3) and bool((found[name][:, 1] > 0).all())
            for name in self._memories
        )
        if not sound:
            self._memories = {}
            raise InputError(
                f"{path} holds no scales of words-memory: call fit with normal pictures"
            )
        scales = {name: found[name].tolist() for name in self._memories}
        self._scales = {name: (Scale(*words), Scale(*far)) for name, (words, far) in scales.items()}
        return self

    def _identity(self) -> dict[str, object]:
        settings = self.settings
        words = [self.products, self.state_words.look_for, self.state_words.ignore]
        return {
            **super()._identity(),
            "words": hashlib.sha256(json.dumps(words).encode()).hexdigest(),
            "top": settings.top,
            "class_token": settings.class_token,
        }

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range in standard deviations."""
        return (1.0, 8.0) if self._memories else (0.3, 1.0)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        settings = self.settings
        return {
            **super().describe(),
            "method": "words and memory" if self._memories else "patch words",
            "turn_gain": settings.turn_gain,
            "map_words": settings.map_words,
            "score_words": settings.score_words,
        }

    def _measure(self, lessons: list[Lesson]) -> tuple[Scale, Scale]:
        """Scales of text logits and of memory distances on the normal pictures."""
        texts = [self._text_logits(lesson.look) for lesson in lessons]
        names = {lesson.image for lesson in lessons}
        if len(names) > 1:
            far = [self.distance(lesson.look, without=lesson.image) for lesson in lessons]
        else:
            far = [self._distance_within(lesson.look) for lesson in lessons]
        scores = [top_mean(distance, self.settings.top) for distance in far]
        return (
            Scale.of([logits for logits, _ in texts], [score for _, score in texts]),
            Scale.of(far, scores),
        )

    def _text_logits(self, look: Look) -> tuple[Tensor, float]:
        return text_logits(look, self.state_weights(look.sample.category), self.settings)

    def _distance_within(self, look: Look) -> Tensor:
        """Distance of each patch to the picture's own patches that are not near it, (gh, gw)."""
        near = look.near(self.settings.apart)
        found = [rarity(rows, near) for rows in self.memory_rows(look)]
        return look.place(torch.stack(found).mean(0))


def advised(advice: Recommended, shots: int) -> WordsMemoryProtocol:
    """What a checkpoint recommends; with a memory, pictures keep twice the detail they need."""
    protocol = recommended(WordsMemoryProtocol, advice, shots)
    return replace(protocol, finest_side=2 * protocol.short_side) if shots else protocol


build = builder(
    "words-memory",
    lambda advice, shots: partial(WordsMemoryInspector, protocol=advised(advice, shots)),
)
"""Catalogue entry: the settings that the checkpoint recommends."""
