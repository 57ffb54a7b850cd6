"""From data sets of Samples to the Runner's loaders, every sample exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Sized
from typing import Protocol, TypedDict

from mmengine.dataset import DefaultSampler
from mmengine.dist import get_dist_info
from torch.utils.data import DataLoader, Dataset, Sampler

from dense.engine.augment import Augment
from dense.structures import Sample


class SampleSource(Protocol):
    """A data set of samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class Batch(TypedDict):
    """What the Runner hands to the model, the metrics and the hooks."""

    index: list[int]
    samples: list[Sample]


class IndexedSamples(Dataset[tuple[int, Sample]]):
    """Numbers the samples of a data set, optionally augments them, and passes `metainfo` on.

    Args:
        source: Data set of samples.
        augment: Applied to each sample; training only.
    """

    def __init__(self, source: SampleSource, augment: Augment | None = None) -> None:
        self.source = source
        self.augment = augment

    @property
    def metainfo(self) -> dict[str, object]:
        """The data set's description, e.g. its class names."""
        return dict(getattr(self.source, "metainfo", {}))

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[int, Sample]:
        sample = self.source[index]
        return index, sample if self.augment is None else self.augment(sample)


class ExactSampler(Sampler[int]):
    """Deals the indices round-robin to the processes, without padding, in order.

    Evaluation only: processes may get numbers that differ by one, which training with
    synchronised gradients would not survive.

    Args:
        dataset: Whose length counts.
    """

    def __init__(self, dataset: Sized) -> None:
        rank, world = get_dist_info()
        self.indices = range(rank, len(dataset), world)

    def __iter__(self) -> Iterator[int]:
        return iter(self.indices)

    def __len__(self) -> int:
        return len(self.indices)


def collate(items: Sequence[tuple[int, Sample]]) -> Batch:
    """Pair the indices and the samples; pictures of a batch may differ in size."""
    return {"index": [index for index, _ in items], "samples": [sample for _, sample in items]}


def test_loader(
    dataset: SampleSource, *, batch_size: int = 1, num_workers: int = 0
) -> DataLoader[tuple[int, Sample]]:
    """Loader for evaluation: in order, every sample exactly once over all processes."""
    indexed = IndexedSamples(dataset)
    return DataLoader(
        indexed,
        batch_size=batch_size,
        sampler=ExactSampler(indexed),
        num_workers=num_workers,
        collate_fn=collate,
    )


test_loader.__test__ = False  # type: ignore[attr-defined]  # not a test, whatever its name


def train_loader(
    dataset: SampleSource,
    *,
    batch_size: int = 1,
    num_workers: int = 0,
    augment: Augment | None = None,
    seed: int = 0,
) -> DataLoader[tuple[int, Sample]]:
    """Loader for training: shuffled by seed and epoch, padded to equal shares of processes."""
    indexed = IndexedSamples(dataset, augment)
    return DataLoader(
        indexed,
        batch_size=batch_size,
        sampler=DefaultSampler(indexed, shuffle=True, seed=seed),
        num_workers=num_workers,
        collate_fn=collate,
        drop_last=len(indexed) > batch_size,
    )


def class_names(dataset: object) -> tuple[str, ...]:
    """Class names of a data set, for configs that take the vocabulary from the data."""
    return tuple(str(name) for name in _listed(dataset, "classes"))


def product_words(dataset: object, words: Mapping[str, str] | None = None) -> dict[str, str]:
    """Words for each category of an anomaly data set.

    Args:
        dataset: Data set with `metainfo["categories"]`.
        words: What to call a category; others get their own name with spaces for underscores.
    """
    known = dict(words or {})
    names = [str(name) for name in _listed(dataset, "categories")]
    return {name: known.get(name, name.replace("_", " ")) for name in names}


def _listed(dataset: object, key: str) -> Sequence[object]:
    from dense.errors import InputError

    found = getattr(dataset, "metainfo", {}).get(key)
    if not found:
        raise InputError(f"{type(dataset).__name__} does not name its {key}")
    return list(found)
