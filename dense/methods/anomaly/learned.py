"""Inspectors with learned parts on a frozen CLIP: what they share in use and in training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Protocol

import torch
from torch import Tensor, nn

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.heads.layered import smooth
from dense.methods.anomaly.base import Inspector
from dense.methods.batching import iter_batches
from dense.structures import AnomalyResult, Sample, Size

PUBLISHED_RATIO = 518 / 336
"""Input side over trained side in the published runs (ViT-L/14-336 at 518 pixels)."""


class Settings(Protocol):
    """Settings of a method: a frozen dataclass with at least these."""

    @property
    def input_size(self) -> int | None:
        """Side of the square input in pixels."""

    @property
    def sigma(self) -> float:
        """Gaussian smoothing of the map in input pixels."""


@dataclass(frozen=True)
class Truth:
    """What a training batch is: defect masks (B, h, w) bool, labels (B,) int64, categories."""

    masks: Tensor
    labels: Tensor
    categories: tuple[str, ...]


class LearnedInspector(Inspector):
    """A method whose few learned parts sit on a frozen backbone.

    Pictures are squashed to a square, as in all published runs of this line; maps are made at that
    size, smoothed there, and resized to the picture.

    Args:
        backbone: A loaded CLIP; it stays frozen.
        products: Words for the one product, or words by category.
        settings: Of the method.
        learned: The learned parts, in the backbone's precision or fp32.
        origin: Where the learned parts come from, for the protocol card.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.

    Raises:
        InputError: If the input side is not a multiple of the patch.
    """

    name: ClassVar[str]
    title: ClassVar[str]

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        settings: Settings,
        learned: nn.Module,
        *,
        origin: str = "untrained",
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(backbone, products, batch_size=batch_size, threshold=threshold)
        self.settings = settings
        self.learned = learned.to(backbone.device)
        self.origin = origin
        self.input_size: Size = square_size(backbone, settings.input_size)

    @abstractmethod
    def score(self, images: Tensor, categories: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w), not smoothed, and image scores (B,) of images (B, 3, h, w)."""

    @abstractmethod
    def losses(self, images: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Named losses of images (B, 3, h, w), with gradients for `learned` alone."""

    @torch.no_grad()  # not inference mode: what is kept for later may be read in training
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        results = []
        squash = iter_batches(self.backbone, samples, lambda _: self.input_size, self.batch_size)
        for batch, images in squash:
            maps, scores = self.score(images, [sample.category for sample in batch])
            maps = smooth(maps, self.settings.sigma)
            results += [
                self.result(patch_map, float(score), sample.image_size)
                for patch_map, score, sample in zip(maps, scores, batch, strict=True)
            ]
        return results

    def prototypes(self, categories: Sequence[str]) -> Tensor:
        """(B, 2, D) prototypes of the category of every image."""
        return torch.stack([self.state_weights(category) for category in categories])

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            "method": self.title,
            "model": self.backbone.name,
            "learned": self.origin,
            **asdict(self.settings),  # type: ignore[call-overload]
            "input_size": self.input_size,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }


def square_size(backbone: CLIPBackbone, side: int | None) -> Size:
    """(h, w) of the square input; by default as much larger than trained as in the papers.

    Raises:
        InputError: If the side is not a positive multiple of the patch.
    """
    patch = backbone.patch_size
    if side is None:
        scaled = [
            round(s * PUBLISHED_RATIO / p) * p
            for s, p in zip(backbone.image_size, patch, strict=True)
        ]
        return scaled[0], scaled[1]
    if side < 1 or side % patch[0] or side % patch[1]:
        raise InputError(f"input_size must be a multiple of the patch {patch}, got {side}")
    return side, side


def needs_weights(name: str, title: str) -> InputError:
    """The error for a trained method without its learned parts."""
    stem = name.replace("-", "_")
    return InputError(
        f"{title} needs learned parts: pass their file as weights (--weights FILE), either made by "
        f"`dense train configs/train/{stem}_embedded.py` or published by the authors"
    )
