"""What every anomaly method shares: products and their words, support, thresholds, results."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.recommended import Recommended
from dense.classifier import build_state_weights
from dense.errors import InputError, NotFittedError
from dense.images import resize_map
from dense.methods.method import refuse_weights
from dense.prompts import NO_WORDS, StateWords
from dense.structures import AnomalyResult, Sample, Size

Memory = TypeVar("Memory")


class Inspector(ABC):
    """A method that scores pictures of one or many products.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many (categories come with
            the samples; unknown ones use their own name).
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.

    Raises:
        InputError: If a product is blank or the batch size is below 1.
    """

    reads_words: ClassVar[bool] = False
    """Whether maps come from words that a user may choose with `steer`."""

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        self.backbone = backbone
        self.products = {"": products} if isinstance(products, str) else dict(products)
        self.batch_size = batch_size
        self.threshold = threshold
        self.state_words = NO_WORDS
        self._weights: dict[str, Tensor] = {}
        blank = [category for category, words in self.products.items() if not words.strip()]
        if blank:
            raise InputError(
                f"the product name{f' of category {blank[0]!r}' if blank[0] else ''} is blank: "
                'say what is inspected, e.g. "metal nut"'
            )
        if batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, got {batch_size}")

    def fit(self, support: Sequence[Sample]) -> Inspector:
        """Use normal pictures; methods without support refuse.

        Raises:
            InputError: If there is no picture, one is labelled anomalous, or the method has no
                use for support.
        """
        name = self.describe()["method"]
        raise InputError(
            f"{name} takes no support images: leave them out, or choose a few-shot method "
            "(`dense methods` lists them)"
        )

    def steer(self, state_words: StateWords) -> Inspector:
        """Choose words to look for and words to ignore, before `fit`.

        Raises:
            InputError: If the method's maps do not come from free words.
        """
        if not self.reads_words:
            raise InputError(
                f"{self.describe()['method']} takes no words to look for or to ignore: leave them "
                "out, or choose a method that reads words, e.g. patch or winclip"
            )
        self.state_words = state_words
        self._weights.clear()
        return self

    def state_weights(self, category: str = "") -> Tensor:
        """(2, D) normal and anomalous prototypes of a category, built once."""
        if category not in self._weights:
            self._weights[category] = build_state_weights(
                self.backbone, self.words(category), state_words=self.state_words
            )
        return self._weights[category]

    @abstractmethod
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""

    @abstractmethod
    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers; `method` is its name."""

    @property
    def input_side(self) -> int:
        """Short side in pixels at which a picture is seen: finer detail is lost."""
        return min(self.backbone.image_size)

    @property
    def heat_scale(self) -> tuple[float, float]:
        """(low, high) anomaly values of the coldest and hottest heat colour.

        Of the method, not of the pictures, so that the same colour means the same in every run.
        """
        return (0.0, 1.0)

    def words(self, category: str) -> str:
        """Words for the product of a category; its own name if it is not known."""
        return self.products.get(category, self.products.get("", "") or category)

    def result(self, patch_map: Tensor, score: float, size: Size) -> AnomalyResult:
        """Resize a patch map (gh, gw) to the picture and decide if there is a threshold."""
        result = AnomalyResult(resize_map(patch_map.float().cpu().numpy(), size), score)
        if self.threshold is None:
            return result
        mask = result.anomaly_map >= self.threshold
        return replace(result, mask=mask, is_anomalous=score >= self.threshold)


def by_category(support: Sequence[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """Check support pictures and yield them by category, sorted.

    Raises:
        InputError: If there is none, or one is labelled anomalous.
    """
    if not support:
        raise InputError("no support images: expected at least one normal image")
    bad = [str(sample.image_path or "an image") for sample in support if sample.label]
    if bad:
        raise InputError(f"support images must be normal, but {bad[0]} is labelled anomalous")
    for category in sorted({sample.category for sample in support}):
        yield category, [sample for sample in support if sample.category == category]


def fitted(memories: Mapping[str, Memory], category: str) -> Memory:
    """What `fit` has kept of a category.

    Raises:
        NotFittedError: If `fit` has not seen it.
    """
    if category not in memories:
        raise NotFittedError(
            f"no support images for category {category!r}: call fit with normal samples first"
        )
    return memories[category]


Made = TypeVar("Made", bound=Inspector, covariant=True)
Choice = Callable[[Recommended, int], Callable[..., Made]]
"""(what the checkpoint recommends, number of support pictures) → the class with its settings."""
Maker = Callable[[CLIPBackbone, int, str | Path | None], Callable[..., Made]]
"""(backbone, number of support pictures, file of learned parts) → what makes the inspector."""


class InspectorBuilder(Protocol[Made]):
    """What a row of the catalogue with the task "inspect" names."""

    def __call__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        shots: int = 0,
        batch_size: int = 8,
        threshold: float | None = None,
        weights: str | Path | None = None,
    ) -> Made:
        """Make the inspector.

        Args:
            backbone: A loaded CLIP.
            products: Words for the one product, or words by category for many.
            shots: How many support pictures `fit` will get.
            batch_size: Images that run at once.
            threshold: See `Inspector`.
            weights: File of the learned parts.

        Raises:
            InputError: If the method cannot use what is given.
        """


def builder(name: str, choose: Choice[Made]) -> InspectorBuilder[Made]:
    """The catalogue's build function of a method without learned parts.

    Args:
        name: Of the method, in the catalogue.
        choose: Gives the class, its settings filled in.
    """

    def maker(
        backbone: CLIPBackbone, shots: int, weights: str | Path | None
    ) -> Callable[..., Made]:
        refuse_weights(name, weights)
        return choose(backbone.recommended, shots)

    return build_with(maker)


def build_with(maker: Maker[Made]) -> InspectorBuilder[Made]:
    """The catalogue's build function of any method."""

    def build(
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        shots: int = 0,
        batch_size: int = 8,
        threshold: float | None = None,
        weights: str | Path | None = None,
    ) -> Made:
        make = maker(backbone, shots, weights)
        return make(backbone, products, batch_size=batch_size, threshold=threshold)

    return build
