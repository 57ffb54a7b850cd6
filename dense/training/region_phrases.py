"""What Alpha-CLIP reads: a picture, a region of it as an alpha channel, and the region's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import Dataset

from dense.datasets import DetectionFolder
from dense.datasets.referring import ReferringData, ReferringSample
from dense.datasets.regions import RegionTruth
from dense.errors import InputError
from dense.prompts import readable_name
from dense.regions import box_cover, mask_cover
from dense.structures import Sample

TEMPLATE = "a photo of a {}."


@dataclass(frozen=True)
class AlphaSample:
    """A squashed picture with one of its regions.

    Attributes:
        image: (s, s, 3) uint8.
        alpha: (s, s) float32 in [0, 1], the share of each pixel that the region covers.
        text: What the region is.
        whole: The alpha channel is full: the picture is to be seen as before.
    """

    image: NDArray[np.uint8]
    alpha: NDArray[np.float32]
    text: str
    whole: bool = False


@dataclass(frozen=True)
class PhraseRule:
    """How a picture becomes an `AlphaSample`.

    Attributes:
        side: Of the picture in pixels.
        whole: Share of draws whose alpha is full.
        seed: With the number of the draw, decides everything.
    """

    side: int = 224
    whole: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.side < 1 or not 0 <= self.whole < 1:
            raise InputError(
                f"a phrase rule needs side ≥ 1 and whole in [0, 1), got {self.side}, {self.whole}"
            )


class RegionPhrases(Dataset[AlphaSample]):
    """Pictures → one region each; numbers beyond the data set count on, epoch by epoch.

    Args:
        source: Boxes with labels (masks are used where its samples have them), or phrases.
        rule: How a region is drawn.

    Raises:
        InputError: If no picture has a region.
    """

    def __init__(self, source: DetectionFolder | ReferringData, rule: PhraseRule) -> None:
        self.source = source
        self.rule = rule
        if isinstance(source, DetectionFolder):
            self.names = [TEMPLATE.replace("{}", readable_name(name)) for name in source.names]
            self.texts = list(self.names)
            there = [
                bool(any(r.segments) if source.masks else len(r.boxes)) for r in source.records
            ]
        else:
            self.names = []
            self.texts = [phrase for record in source.records for phrase in record.phrases]
            there = [bool(record.phrases) for record in source.records]
        self.places = np.flatnonzero(there).tolist()
        if not self.places:
            raise InputError("no picture has a region to learn from: expected boxes or phrases")

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> AlphaSample:
        sample = self.source[self.places[number % len(self)]]
        rule, rng = self.rule, np.random.default_rng([self.rule.seed, number])
        texts, boxes, masks = self._regions(sample)
        place, whole = int(rng.integers(len(texts))), bool(rng.random() < rule.whole)
        size = (rule.side, rule.side)
        squashed = Image.fromarray(sample.image).resize(size, Image.Resampling.BICUBIC)
        if whole:
            alpha = np.ones(size, np.float32)
        elif masks is not None:
            alpha = mask_cover(masks[place], size)
        else:
            alpha = box_cover(boxes[place].tolist(), sample.image_size, size)
        return AlphaSample(np.asarray(squashed), alpha, texts[place], whole)

    def _regions(
        self, sample: Sample
    ) -> tuple[Sequence[str], NDArray[np.float32], NDArray[np.bool_] | None]:
        """Words, boxes and maybe masks of a picture's regions."""
        if isinstance(sample, ReferringSample) and sample.targets is not None:
            return sample.phrases, sample.targets, sample.target_masks
        if sample.boxes is None or sample.box_labels is None:
            raise InputError("a picture without labelled boxes cannot teach Alpha-CLIP")
        masks = sample.masks if isinstance(sample, RegionTruth) else None
        return [self.names[k] for k in sample.box_labels.tolist()], sample.boxes, masks
