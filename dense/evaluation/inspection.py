"""One measurement of an inspector: a category, its support, its test pictures, its metrics."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from dense.datasets.anomaly import AUTO, AnomalyFolder
from dense.datasets.anomaly_items import Split
from dense.datasets.support import select_support
from dense.errors import InputError
from dense.methods.anomaly.base import Inspector
from dense.metrics.anomaly import NATIVE, AnomalyTally, defect_pixels
from dense.metrics.defect_sizes import region_areas, smallest_third
from dense.metrics.defect_types import DefectTypes
from dense.structures import AnomalyResult, Sample

BATCH = 16
CACHE_BYTES = 1 << 30
"""Decoded test pictures that are kept for the next method; the others are read again."""

Seen = Callable[[Sample, AnomalyResult], None]


class CategoryData:
    """The pictures of one category: normal ones to choose support from, and the test set.

    Args:
        root: The data set.
        category: One of its categories.
        limit: Test pictures at most, taken evenly from the normal and the defective ones in the
            proportion of the whole; ``None`` takes all.
        layout: As `AnomalyFolder`.

    Raises:
        InputError: If there is no test picture, or the limit is below 1.
    """

    def __init__(
        self,
        root: str | Path,
        category: str,
        *,
        limit: int | None = None,
        layout: str = AUTO,
    ) -> None:
        self.root = Path(root)
        self.category = category
        self.layout = layout
        self.test = AnomalyFolder(root, category, split="test", layout=layout)
        self.indices = evenly([item.label for item in self.test.items], limit)
        self._types = {item.image_path: item.defect_type for item in self.test.items}
        self._cache: dict[int, Sample] = {}
        self._room = CACHE_BYTES

    def support(self, shots: int, seed: int) -> list[Sample]:
        """Read `shots` normal training pictures.

        Raises:
            InputError: If there are fewer, or no training folder.
        """
        paths = [item.image_path for item in self.train.items]
        chosen = set(select_support(paths, shots, seed))
        return [self.train[place] for place, path in enumerate(paths) if path in chosen]

    def batches(self) -> Iterator[list[Sample]]:
        """Test pictures, `BATCH` at once, normal ones first."""
        order = sorted(self.indices, key=lambda index: self.test.items[index].label)
        for start in range(0, len(order), BATCH):
            yield [self._read(index) for index in order[start : start + BATCH]]

    @property
    def normal_images(self) -> int:
        """Number of normal test pictures."""
        return sum(not self.test.items[index].label for index in self.indices)

    def defect_type(self, sample: Sample) -> str:
        """Name of a test picture's kind of defect, or of its folder."""
        return "" if sample.image_path is None else self._types[sample.image_path]

    def small_area(self) -> int | None:
        """Area up to which a defect is among the smallest third of the test set's, by its masks."""
        areas: list[int] = []
        for index in self.indices:
            if self.test.items[index].label and self.test.items[index].mask_paths:
                mask = self._read(index).mask
                areas += [] if mask is None else region_areas(mask)
        return smallest_third(areas)

    def fingerprint(self, split: Split) -> str:
        """Hash of what a split holds: files with sizes and times, and the pictures chosen."""
        folder = self.test if split == "test" else self.train
        chosen = self.indices if split == "test" else range(len(folder))
        digest = hashlib.blake2b(digest_size=16)
        for item in (folder.items[index] for index in chosen):
            digest.update(f"{item.label}\n".encode())
            for path in (item.image_path, *item.mask_paths):
                state = path.stat()
                name = Path(os.path.relpath(path, self.root)).as_posix()
                digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    @cached_property
    def train(self) -> AnomalyFolder:
        """Normal pictures to choose support from.

        Raises:
            InputError: If there are none.
        """
        return AnomalyFolder(self.root, self.category, split="train", layout=self.layout)

    def _read(self, index: int) -> Sample:
        if index not in self._cache:
            sample = self.test[index]
            size = sample.image.nbytes + (0 if sample.mask is None else sample.mask.nbytes)
            if size > self._room:
                return sample
            self._room -= size
            self._cache[index] = sample
        return self._cache[index]


@dataclass(frozen=True)
class Measurement:
    """What came out of one run over a category.

    Attributes:
        metrics: In percent; nan where undefined.
        reasons: Why, for each that is nan.
        errors: Bounds of what binning changes, in percent; empty if the metrics are exact.
        notes: What a reader of the metrics must know.
        images: Number of test pictures.
        fit_seconds: Time to use the support.
        seconds: Time to predict them all, reading and scoring left out.
        support: Names of the support pictures' files.
        defects: By defect type, where there are several, see `DefectTypes`.
    """

    metrics: dict[str, float]
    reasons: dict[str, str]
    errors: dict[str, float]
    notes: list[str]
    images: int
    fit_seconds: float
    seconds: float
    support: list[str] = field(default_factory=list)
    defects: dict[str, dict[str, float]] = field(default_factory=dict)


def measure(
    inspector: Inspector,
    data: CategoryData,
    *,
    shots: int = 0,
    seed: int = 0,
    bins: int | None = None,
    sizes: Sequence[int] = (NATIVE,),
    small: bool = False,
    seen: Seen | None = None,
) -> Measurement:
    """Fit an inspector on support pictures and score the test set.

    Args:
        inspector: It is fitted here when `shots` is positive, replacing what it remembers.
        data: The pictures.
        shots: Number of normal training pictures to fit on.
        seed: Chooses them (sorted, without replacement).
        bins: As `AnomalyTally`: ``None`` for exact pixel metrics.
        sizes: As `AnomalyTally`: sides at which pixels are scored, 0 for native.
        small: Also score the smallest third of the defects apart.
        seen: Called with every test picture and its result.

    Raises:
        InputError: If the support cannot be chosen, or the method refuses a picture.
    """
    support = data.support(shots, seed) if shots else []
    begun = time.perf_counter()
    if support:
        inspector.fit(support)
    fitted, seconds = time.perf_counter() - begun, 0.0
    tally = AnomalyTally(
        bins=bins,
        sizes=sizes,
        normal_images=data.normal_images,
        small_area=data.small_area() if small else None,
    )
    types = DefectTypes()
    for batch in data.batches():
        begun = time.perf_counter()
        results = inspector.predict(batch)
        seconds += time.perf_counter() - begun
        for sample, result in zip(batch, results, strict=True):
            tally.add(result, sample)
            _note_type(types, data, sample, result)
            if seen is not None:
                seen(sample, result)
    return Measurement(
        tally.scores(),
        tally.reasons(),
        tally.errors(),
        tally.notes(),
        len(data.indices),
        fitted,
        seconds,
        [sample.image_path.name for sample in support if sample.image_path],
        found if len(found := types.scores()) > 1 else {},
    )


def _note_type(
    types: DefectTypes, data: CategoryData, sample: Sample, result: AnomalyResult
) -> None:
    score, heat = float(result.score), result.anomaly_map
    if sample.label:
        types.add(data.defect_type(sample), score, heat, defect_pixels(sample))
    else:
        types.add_normal(score, heat)


def inspect_category(
    inspector: Inspector, root: str, category: str, *, shots: int = 0, seed: int = 0
) -> dict[str, float]:
    """Image and pixel metrics of one category, in percent, exact, at original resolution.

    Args:
        inspector: It is fitted here when `shots` is positive.
        root: Folder that holds the category.
        category: Its name.
        shots: Number of normal training pictures to fit on.
        seed: Chooses them (sorted, without replacement).
    """
    return measure(inspector, CategoryData(root, category), shots=shots, seed=seed).metrics


def evenly(labels: Sequence[int], limit: int | None) -> list[int]:
    """Places of at most `limit` pictures, evenly spaced among each label, in order.

    Both kinds keep their share, and at least one picture each if the limit is 2 or more.

    Raises:
        InputError: If the limit is below 1.
    """
    if limit is None or limit >= len(labels):
        return list(range(len(labels)))
    if limit < 1:
        raise InputError(f"the limit must be 1 or more pictures, got {limit}")
    kinds = [[place for place, label in enumerate(labels) if bool(label) == k] for k in (0, 1)]
    few = [kind for kind in kinds if kind]
    takes = [max(1, round(limit * len(kind) / len(labels))) for kind in few]
    takes[int(np.argmax(takes))] += limit - sum(takes)
    chosen = []
    for kind, take in zip(few, takes, strict=True):
        chosen += [kind[place * len(kind) // take] for place in range(take)]
    return sorted(chosen)
