"""Memories of normal patches: fit, add, remove, save, load, distance; the base of all such methods.

One forward pass a picture. Each product has a memory of the patches of its normal pictures; a
patch is as abnormal as it is far from the nearest remembered one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.attention import AS_TRAINED
from dense.errors import InputError, NotFittedError
from dense.memory import PatchIndex, greedy_coreset, make_index
from dense.memory.coreset import Steps
from dense.memory.files import Remembered, read_memories, write_memories
from dense.methods.anomaly.base import by_category, fitted
from dense.methods.anomaly.patches import Look, PatchFeatureInspector, PatchSettings, top_mean
from dense.structures import Sample


@dataclass(frozen=True, kw_only=True)
class MemorySettings(PatchSettings):
    """How patches are remembered and compared.

    Attributes:
        joint: Put the layers side by side into one feature with one memory (PatchCore); otherwise
            each layer has its own memory and their distances are averaged.
        neighbours: Distances to this many nearest rows are averaged.
        coreset: Share of the rows that is kept, see `dense.memory.greedy_coreset`; 1 keeps all.
        index: Name of the search structure, see `dense.memory.make_index`.
        seed: Of the coreset.
    """

    joint: bool = False
    neighbours: int = 1
    coreset: float = 1.0
    index: str = "exact"
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.neighbours < 1 or not 0 < self.coreset <= 1:
            raise InputError(
                "neighbours must be 1 or more and coreset in (0, 1], got "
                f"{self.neighbours} and {self.coreset}"
            )


@dataclass(frozen=True)
class Lesson:
    """One support picture on its way into the memory; `turn` 0 is the upright copy."""

    image: str
    turn: int
    look: Look


class MemoryInspector(PatchFeatureInspector):
    """Base of methods that compare patches with remembered normal ones.

    Pictures are remembered under the path of their file, or as ``image 1``, ``image 2`` … where
    they have none, and can be added and removed one by one.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        settings: How patches are remembered; state them with any published number.
        block: How the last block makes the dense features that are compared with words.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.
    """

    name = "patch memory"
    by_distance: ClassVar[bool] = True
    """Whether the memory is asked for nothing but `distance`, see `weigh`."""
    settings: MemorySettings

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        settings: MemorySettings,
        *,
        block: LastBlock = AS_TRAINED,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(
            backbone, products, settings, block=block, batch_size=batch_size, threshold=threshold
        )
        self.track: Steps | None = None
        """Wraps the steps of a coreset in a progress bar."""
        self._memories: dict[str, tuple[PatchIndex, ...]] = {}

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> MemoryInspector:
        """Remember normal images; replaces the memories of the categories that occur.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        for category, chosen in by_category(support):
            self._memories.pop(category, None)
            self.remember(category, self.lessons(chosen, category))
        return self

    @torch.inference_mode()
    def add(self, support: Sequence[Sample]) -> MemoryInspector:
        """Remember further normal images beside those already known.

        Raises:
            InputError: As `fit`.
        """
        for category, chosen in by_category(support):
            self.remember(category, self.lessons(chosen, category))
        return self

    def remove(self, image: str | Path, category: str = "") -> int:
        """Forget an image; returns how many rows went.

        Raises:
            NotFittedError: If the category has no memory.
            InputError: If the image is not remembered, or is the last one.
        """
        memory = self.memory(category)
        if memory[0].images == (str(image),):
            raise InputError(
                f"{image} is the only picture of the memory: fit another one instead of removing it"
            )
        return sum(index.remove(str(image)) for index in memory)

    def memory(self, category: str = "") -> tuple[PatchIndex, ...]:
        """Indexes of a fitted category, one a layer, or a single joint one.

        Raises:
            NotFittedError: If `fit` has not seen the category.
        """
        return fitted(self._memories, category)

    def remember(self, category: str, lessons: Iterable[Lesson]) -> None:
        """Put pictures into the memory of a category; makes it if there is none."""
        images: list[str] = []
        parts: list[list[Tensor]] = []
        for lesson in lessons:
            images.append(lesson.image)
            parts.append(self.memory_rows(lesson.look))
        known = self._memories.get(category)
        if known is None:
            known = tuple(make_index(self.settings.index, part.shape[1]) for part in parts[0])
            self._memories[category] = known
        for place, index in enumerate(known):
            self._store(index, images, [part[place] for part in parts])

    def memory_rows(self, look: Look) -> list[Tensor]:
        """Features that are remembered and searched, (N, C) a memory."""
        rows = look.rows()
        return [torch.cat(rows, 1)] if self.settings.joint else rows

    def distance(self, look: Look, *, without: str | None = None) -> Tensor:
        """Mean half cosine distance over neighbours and memories, (gh, gw).

        Args:
            look: The picture.
            without: A remembered picture that is left out.
        """
        memory = self.memory(look.sample.category)
        count = self.settings.neighbours
        found = [
            index.search(rows, count, without=without)[0].mean(1)
            for index, rows in zip(memory, self.memory_rows(look), strict=True)
        ]
        return look.place(torch.stack(found).mean(0))

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Patch map (gh, gw) and image score, from the distances to the memory."""
        return self.weigh(look, self.distance(look))

    def weigh(self, look: Look, distance: Tensor) -> tuple[Tensor, float]:
        """Patch distances (gh, gw) as they are, and the mean of the highest."""
        return distance, top_mean(distance, self.settings.top)

    def save_memory(self, path: str | Path) -> Path:
        """Write all memories as one safetensors file.

        Raises:
            NotFittedError: If there is none.
            InputError: If the place cannot be written.
        """
        if not self._memories:
            raise NotFittedError("there is no memory to save: call fit with normal samples first")
        memories = {
            (category, place): Remembered(index.rows(), index.owners(), index.images)
            for category, indexes in self._memories.items()
            for place, index in enumerate(indexes)
        }
        return write_memories(path, memories, self._identity(), measures=self.measures())

    def measures(self) -> dict[str, Tensor]:
        """What a method keeps beside its rows, as tensors by name."""
        return {}

    def load_memory(self, path: str | Path) -> MemoryInspector:
        """Replace the memories by those of a file.

        Raises:
            InputError: If it is no such file, or was made with other weights or settings.
        """
        loaded: dict[str, list[PatchIndex]] = {}
        for (category, _), part in read_memories(path, self._identity()).items():
            index = make_index(self.settings.index, part.rows.shape[1])
            for place, image in enumerate(part.images):
                index.add(part.rows[part.owners == place].to(self.backbone.device), image)
            loaded.setdefault(category, []).append(index)
        self._memories = {category: tuple(indexes) for category, indexes in loaded.items()}
        return self

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range of half cosine distances."""
        return (0.08, 0.3)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        settings = self.settings
        return {
            "method": self.name,
            **self.describe_features(),
            "joint": settings.joint,
            "neighbours": settings.neighbours,
            "coreset": settings.coreset,
            "index": settings.index,
            "seed": settings.seed,
            "shots": sorted({len(memory[0].images) for memory in self._memories.values()}),
        }

    def lessons(self, chosen: Sequence[Sample], category: str = "") -> Iterator[Lesson]:
        """Support pictures and their turned copies, looked at, for `remember`."""
        known = self._memories.get(category)
        start = 1 + (len(known[0].images) if known else 0)
        names = [
            str(sample.image_path) if sample.image_path else f"image {start + place}"
            for place, sample in enumerate(chosen)
        ]
        turns = self.settings.rotations
        for place, look in enumerate(self.look(self.turned(chosen))):
            yield Lesson(names[place // turns], place % turns, look)

    def _store(self, index: PatchIndex, images: list[str], parts: list[Tensor]) -> None:
        if self.settings.coreset < 1:
            rows = torch.cat(parts)
            count = max(1, round(self.settings.coreset * len(rows)))
            given = index.rows() if len(index) else None
            kept = greedy_coreset(
                rows, count, given=given, seed=self.settings.seed, track=self.track
            )
            kept = kept.sort().values
            sizes = torch.tensor([len(part) for part in parts]).cumsum(0)
            owner = torch.bucketize(kept, sizes, right=True)
            parts = [rows[kept[owner == place].to(rows.device)] for place in range(len(parts))]
        for image, part in zip(images, parts, strict=True):
            index.add(part, image)

    def _identity(self) -> dict[str, object]:
        """What must agree between a memory file and its user."""
        settings = self.settings
        return {
            "weights": self.backbone.fingerprint,
            "layers": list(settings.layers),
            "short_side": settings.short_side,
            "finest_side": settings.finest_side,
            "neighbourhood": settings.neighbourhood,
            "joint": settings.joint,
        }
