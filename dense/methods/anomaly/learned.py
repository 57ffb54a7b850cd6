"""Inspectors with learned parts on a frozen CLIP: what they share in use and in training."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

import torch
from torch import Tensor, nn

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.heads.layered import smooth
from dense.methods.anomaly.base import Inspector, InspectorBuilder, build_with
from dense.methods.batching import iter_batches
from dense.methods.learned_files import fill_learned, read_parts
from dense.methods.method import needs_weights
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
        settings: Of the method; the paper's if ``None``.
        origin: Where the learned parts come from, for the protocol card; by default that they
            are untrained, or that there are none.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.

    Raises:
        InputError: If the input side is not a multiple of the patch.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[Settings]
    needs_weights: ClassVar[bool] = True
    """Whether the method is of no use before it has learned."""
    enlarged: ClassVar[float] = PUBLISHED_RATIO
    """Input side over the model's own, where the settings do not say."""

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        settings: Settings | None = None,
        origin: str | None = None,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(backbone, products, batch_size=batch_size, threshold=threshold)
        self.settings = self.paper if settings is None else settings
        self.learned = self.make_learned().to(backbone.device)
        unnamed = "untrained" if any(True for _ in self.learned.parameters()) else "nothing"
        self.origin = unnamed if origin is None else origin
        self.input_size: Size = square_size(backbone, self.settings.input_size, self.enlarged)

    @abstractmethod
    def make_learned(self) -> nn.Module:
        """New learned parts for the backbone and the settings; called once, when built."""

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


def square_size(backbone: CLIPBackbone, side: int | None, ratio: float) -> Size:
    """(h, w) of the square input.

    Args:
        backbone: What it enters.
        side: In pixels; ``None`` enlarges the model's own.
        ratio: How much, to the nearest multiple of the patch.

    Raises:
        InputError: If the side is not a positive multiple of the patch.
    """
    patch = backbone.patch_size
    if side is None:
        scaled = [round(s * ratio / p) * p for s, p in zip(backbone.image_size, patch, strict=True)]
        return scaled[0], scaled[1]
    if side < 1 or side % patch[0] or side % patch[1]:
        raise InputError(f"input_size must be a multiple of the patch {patch}, got {side}")
    return side, side


ChosenSettings = TypeVar("ChosenSettings", bound=Settings)
MadeLearned = TypeVar("MadeLearned", bound=LearnedInspector)


def learned_builder(
    method: type[MadeLearned],
    settings: type[ChosenSettings],
    published: Callable[[str | Path], tuple[dict[str, Tensor], ChosenSettings]],
) -> InspectorBuilder[MadeLearned]:
    """The catalogue's build function of a method with learned parts, of ours or of the authors.

    Args:
        method: The method.
        settings: Its class of settings.
        published: Reads the authors' files.
    """

    def maker(
        backbone: CLIPBackbone, _shots: int, weights: str | Path | None
    ) -> Callable[..., MadeLearned]:
        if weights is None:
            if method.needs_weights:
                raise needs_weights(method.name, published=True)
            return method
        state, chosen = read_parts(weights, method.name, backbone, settings, published)

        def make(*args: Any, **options: Any) -> MadeLearned:
            inspector = method(*args, settings=chosen, origin=Path(weights).name, **options)
            fill_learned(inspector.learned, state, weights)
            return inspector

        return make

    return build_with(maker)
