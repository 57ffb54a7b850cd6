"""Training pictures with defect masks, from drawings, from one's own good pictures, or mixed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from torch.utils.data import Dataset

from dense.datasets.defects import make_defect
from dense.errors import InputError
from dense.structures import Sample
from dense.training.states import DefectPairs, foreground


class Samples(Protocol):
    """A data set of samples."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class DrawnDefects(Dataset[Sample]):
    """Drawn surfaces and parts, each once intact and once damaged; no picture from outside.

    Args:
        pairs: Of which each gives two samples; its name is their category.
    """

    def __init__(self, pairs: DefectPairs) -> None:
        self.pairs = pairs

    @property
    def metainfo(self) -> dict[str, object]:
        """`categories`: their names, sorted."""
        return {"categories": self.pairs.names}

    def __len__(self) -> int:
        return 2 * len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        pair, damaged = self.pairs[index // 2], index % 2
        mask = pair.mask if damaged else np.zeros_like(pair.mask)
        image = pair.damaged if damaged else pair.normal
        return Sample(image, mask=mask, label=damaged, category=pair.name)


class DamagedPictures(Dataset[Sample]):
    """Good pictures as they are, and copies with drawn defects: material without a real defect.

    Args:
        source: Pictures; those labelled anomalous are refused when they are read.
        copies: Damaged copies of each, every one another; sample i is always the same.
        seed: Of all defects.

    Raises:
        InputError: If `copies` is not positive.
    """

    def __init__(self, source: Samples, *, copies: int = 1, seed: int = 0) -> None:
        if copies < 1:
            raise InputError(f"copies must be 1 or more, got {copies}")
        self.source = source
        self.copies = copies
        self.seed = seed

    @property
    def metainfo(self) -> dict[str, object]:
        """That of the source."""
        return dict(getattr(self.source, "metainfo", {}))

    def __len__(self) -> int:
        return len(self.source) * (1 + self.copies)

    def __getitem__(self, index: int) -> Sample:
        sample = self.source[index // (1 + self.copies)]
        if sample.label:
            raise InputError(
                f"{sample.image_path or 'a picture'} is anomalous: defects are drawn on good "
                "pictures alone, e.g. the split 'train'"
            )
        if index % (1 + self.copies) == 0:
            return replace(sample, mask=np.zeros(sample.image_size, np.bool_), label=0)
        rng = np.random.default_rng([self.seed, index])
        defect = make_defect(sample.image, rng=rng, part=foreground(sample.image))
        return replace(sample, image=defect.image, mask=defect.mask, label=1)


class Mosaic(Dataset[Sample]):
    """Now and then four pictures of one product in a square (APRIL-GAN, section 4.1).

    Random numbers come from torch's generator, so that loader workers differ and a seeded run
    repeats. The published code pastes pictures at their own sizes and AdaCLIP's keeps the first
    one's label; here they get the first one's size and the label of what is seen.

    Args:
        source: Pictures with masks.
        rate: Probability of a mosaic.
        categories: Category of every picture of the source, to find its fellows without reading
            them; one product if left out.

    Raises:
        InputError: If the rate is no probability, or the number of categories is another.
    """

    def __init__(
        self, source: Samples, *, rate: float = 0.2, categories: Sequence[str] | None = None
    ) -> None:
        if not 0 <= rate <= 1:
            raise InputError(f"the rate of mosaics must be in [0, 1], got {rate}")
        found = list(_categories(source) if categories is None else categories)
        if len(found) != len(source):
            raise InputError(
                f"expected a category for each of {len(source)} pictures, got {len(found)}"
            )
        self.source = source
        self.rate = rate
        self.fellows: dict[str, list[int]] = {}
        for index, category in enumerate(found):
            self.fellows.setdefault(category, []).append(index)
        self.category_of = found

    @property
    def metainfo(self) -> dict[str, object]:
        """That of the source."""
        return dict(getattr(self.source, "metainfo", {}))

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        first = self.source[index]
        if float(torch.rand(())) >= self.rate:
            return first
        own = self.fellows[self.category_of[index]]
        drawn = [own[int(torch.randint(len(own), ()))] for _ in range(3)]
        return mosaic([first, *(self.source[other] for other in drawn)])


def mosaic(samples: Sequence[Sample]) -> Sample:
    """Four samples in a square, each at the size of the first; the mask is None if one lacks it."""
    import cv2

    first = samples[0]
    height, width = first.image_size
    images = [cv2.resize(s.image, (width, height), interpolation=cv2.INTER_AREA) for s in samples]
    label = int(any(sample.label for sample in samples))
    mask = None
    if all(sample.mask is not None or not sample.label for sample in samples):
        plain = [
            np.zeros(s.image_size, np.uint8) if s.mask is None else s.mask.astype(np.uint8)
            for s in samples
        ]
        sized = [cv2.resize(m, (width, height), interpolation=cv2.INTER_NEAREST) for m in plain]
        mask = np.asarray(_square(sized), np.bool_)
    return replace(first, image=_square(images), mask=mask, label=label, image_path=None)


def _square(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.vstack([np.hstack(parts[:2]), np.hstack(parts[2:])])


def _categories(source: Samples) -> Sequence[str]:
    items = getattr(source, "items", None)
    if items is None:
        return [""] * len(source)
    return [item.category for item in items]
