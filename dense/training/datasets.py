"""Items of a training step: from pictures as they come, or from feature caches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from dense.datasets.captions import CaptionedSample, CaptionRecord
from dense.datasets.defects import KINDS
from dense.errors import InputError
from dense.structures import Size
from dense.training.cache import FeatureCache
from dense.training.items import PairItem, TrainingItem, WindowTokens
from dense.training.states import StatePair

Value = TypeVar("Value")


class Captioned(Protocol):
    """Captioned pictures by number, maybe augmented."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> CaptionedSample: ...


class Items(Protocol):
    """Training items by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> TrainingItem: ...


class Pairs(Protocol):
    """Pairs of intact and damaged things by number."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> PairItem: ...


class Augmentation(Protocol):
    """Changes a sample, e.g. `dense.engine.augment.Augment`."""

    def __call__(self, sample: CaptionedSample) -> CaptionedSample: ...


class PictureItems(Dataset[TrainingItem]):
    """Captioned pictures as items, augmented on the way.

    Args:
        captions: The pictures.
        augment: Must give pictures of one size.
    """

    def __init__(self, captions: Captioned, augment: Augmentation) -> None:
        self.captions = captions
        self.augment = augment

    def __len__(self) -> int:
        return len(self.captions)

    def __getitem__(self, index: int) -> TrainingItem:
        sample = self.augment(self.captions[index])
        return TrainingItem(sample.texts, sample.kind, image=sample.image)


class CachedItems(Dataset[TrainingItem]):
    """Captioned pictures whose features are in a cache.

    Args:
        records: Their words, in the order of the cache.
        cache: With `tokens`, and maybe `codes` and `dense_codes`.
        words: Aligned words by index of the picture: (N, k) indices and (N, k) weights.

    Raises:
        InputError: If the cache is not complete or holds another number of pictures.
    """

    def __init__(
        self,
        records: list[CaptionRecord],
        cache: FeatureCache,
        *,
        words: Mapping[int, tuple[Tensor, Tensor]] | None = None,
    ) -> None:
        if len(records) != cache.count or not cache.complete:
            raise InputError(
                f"{cache.folder} holds {cache.done} of {len(records)} pictures: build it first"
            )
        self.records = records
        self.cache = cache
        self.words = dict(words or {})

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> TrainingItem:
        record = self.records[index]
        fields = {name: self.cache.read(index, name) for name in self.cache.fields}
        item = TrainingItem(record.texts, record.kind, **fields)  # type: ignore[arg-type]
        if index not in self.words:
            return item
        word_index, word_weight = self.words[index]
        return replace(item, word_index=word_index.long(), word_weight=word_weight.float())


class PicturePairs(Dataset[PairItem]):
    """Pairs as pictures.

    Args:
        pairs: The generator.
        grid: (gh, gw) of the student's patches.
    """

    def __init__(self, pairs: Dataset[StatePair], grid: Size) -> None:
        self.pairs = pairs
        self.grid = (grid[0], grid[1])

    def __len__(self) -> int:
        return len(self.pairs)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> PairItem:
        pair = self.pairs[index]
        images = np.stack([pair.normal, pair.damaged])
        return PairItem(pair.name, pair.kind, pair.coverage(self.grid), images=images)


class CachedPairs(Dataset[PairItem]):
    """Pairs whose tokens are in a cache.

    Args:
        names: Every name a pair can have, in the order of the cache's numbers.
        cache: With `tokens` (2, T, C), `coverage` (N,), `name`, `kind`, and for windows of n
            patches `window_tokens_n` (2, K, T, C) and `window_coverage_n` (K,).

    Raises:
        InputError: If the cache is not complete.
    """

    def __init__(self, names: tuple[str, ...], cache: FeatureCache) -> None:
        if not cache.complete:
            raise InputError(f"{cache.folder} holds {cache.done} of {cache.count} pairs")
        self.names = names
        self.cache = cache

    def __len__(self) -> int:
        return self.cache.count

    def __getitem__(self, index: int) -> PairItem:
        read = self.cache.read
        name, kind = (int(read(index, field)) for field in ("name", "kind"))
        windows = tuple(
            WindowTokens(read(index, field), read(index, field.replace("tokens", "coverage")))
            for field in sorted(self.cache.fields)
            if field.startswith("window_tokens")
        )
        return PairItem(
            self.names[name],
            KINDS[kind],
            read(index, "coverage"),
            tokens=read(index, "tokens"),
            windows=windows,
        )


class Joined(Dataset[Value]):
    """Several data sets, one after the other.

    Args:
        parts: At least one.
    """

    def __init__(self, parts: Sequence[Dataset[Value]]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)  # type: ignore[arg-type, misc]

    def __getitem__(self, index: int) -> Value:
        for part in self.parts:
            length = len(part)  # type: ignore[arg-type]
            if index < length:
                return part[index]
            index -= length
        raise IndexError(index)


class WithPairs(Dataset[TrainingItem]):
    """Attaches a pair to every n-th item on average.

    Args:
        items: The items.
        pairs: The pairs.
        every: One pair in this many items.
        seed: Decides which; each epoch of the sampler meets the same partners in other batches.
    """

    def __init__(self, items: Items, pairs: Pairs, *, every: int = 5, seed: int = 0) -> None:
        if every < 1:
            raise InputError(f"every must be 1 or more, got {every}")
        self.items = items
        self.pairs = pairs
        generator = torch.Generator().manual_seed(seed)
        draw = torch.rand(len(items), generator=generator)
        self.with_pair = draw < 1 / every
        self.partner = torch.randint(len(pairs), (len(items),), generator=generator)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> TrainingItem:
        item = self.items[index]
        if not self.with_pair[index]:
            return item
        return replace(item, pair=self.pairs[int(self.partner[index])])
