"""What every rejection method shares: known pictures, features, a threshold, results."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.errors import InputError, NotFittedError
from dense.methods.batching import iter_batches
from dense.methods.method import refuse_weights
from dense.structures import Sample, TextClassifier

FOLDS = 10
"""Most parts into which known pictures are cut to score each by the others."""

Foreignness = Callable[[Tensor], Tensor]
"""Unit image features (B, D) → scores (B,), larger is more foreign."""


@dataclass(frozen=True)
class RejectResult:
    """Whether a picture shows something known.

    Attributes:
        score: Larger is more foreign.
        is_foreign: Decision after a threshold, ``None`` while there is none.
        nearest: The known class it looks most like by words, where classes have words.
    """

    score: float
    is_foreign: bool | None = None
    nearest: str | None = None


class Rejector(ABC):
    """A method that tells pictures of known products from all others.

    Pictures are squashed to the tower's own size, as in `dense.evaluation.classification`.

    Args:
        backbone: A loaded CLIP.
        classes: Words for what is known; empty takes the categories of the pictures in `fit`.
        accept: Share of known pictures that should pass: `fit` sets the threshold by known
            pictures that were held out.
        threshold: Score from which a picture counts as foreign, instead of `accept`.
        templates: Prompt templates of the classes, see `dense.prompts.template_set`.
        batch_size: Images that run at once.

    Raises:
        InputError: If `accept` is no share or the batch size is below 1.
    """

    name: str
    needs_known: ClassVar[bool] = True

    def __init__(
        self,
        backbone: CLIPBackbone,
        classes: Sequence[str] = (),
        *,
        accept: float = 0.95,
        threshold: float | None = None,
        templates: str = "imagenet",
        batch_size: int = 16,
    ) -> None:
        if not 0 < accept < 1:
            raise InputError(f"accept must lie between 0 and 1, got {accept}")
        if batch_size < 1:
            raise InputError(f"batch_size must be 1 or more, got {batch_size}")
        self.backbone = backbone
        self.classes = tuple(classes)
        self.accept = accept
        self.fixed = threshold
        self.templates = templates
        self.batch_size = batch_size
        self.held_out = torch.empty(0)
        self._classifier: TextClassifier | None = None
        self._foreignness: Foreignness | None = None

    @abstractmethod
    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """Turn unit features (n, D) and classes (n,) of known pictures into a score."""

    @torch.inference_mode()
    def fit(self, known: Sequence[Sample]) -> Rejector:
        """Learn from known pictures; their `category` is their class.

        Each picture is also scored by what is learned from the others, in up to ten parts; from
        these scores, `held_out`, comes the threshold.

        Raises:
            InputError: If there are too few pictures for the method.
        """
        if not known:
            raise InputError("no known pictures: expected at least one")
        names = sorted({sample.category for sample in known})
        if not self.classes:
            self.classes = tuple(name.replace("_", " ") for name in names if name)
        self._classifier = None
        features = self.features(known)
        labels = torch.tensor([names.index(sample.category) for sample in known])
        labels = labels.to(features.device)
        self._foreignness = self.learn(features, labels)
        self.held_out = self.hold_out(features, labels)
        return self

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[RejectResult]:
        """Score pictures, in order.

        Raises:
            NotFittedError: If the method learns from known pictures and has seen none.
        """
        features = self.features(samples)
        scores = self.foreignness()(features).tolist()
        limit, nearest = self.threshold, self._nearest(features)
        return [
            RejectResult(score, None if limit is None else score >= limit, name)
            for score, name in zip(scores, nearest, strict=True)
        ]

    def foreignness(self) -> Foreignness:
        """The score of unit features.

        Raises:
            NotFittedError: As `predict`.
        """
        if self._foreignness is None:
            if self.needs_known:
                raise NotFittedError(f"{self.name} learns from known pictures: call fit first")
            nothing = torch.empty(0, self.backbone.joint_dim)
            self._foreignness = self.learn(nothing, torch.empty(0, dtype=torch.int64))
        return self._foreignness

    @property
    def threshold(self) -> float | None:
        """Score from which a picture is foreign.

        The ⌈(n + 1) · accept⌉-th smallest held-out score (split-conformal; the largest one where n
        is too small for that), or what was fixed.
        """
        if self.fixed is not None or not len(self.held_out):
            return self.fixed
        count = len(self.held_out)
        rank = min(count, math.ceil((count + 1) * self.accept))
        return float(
            torch.nextafter(self.held_out.sort().values[rank - 1], torch.tensor(torch.inf))
        )

    def classifier(self) -> TextClassifier:
        """Text classifier of the classes.

        Raises:
            InputError: If there are none.
        """
        if self._classifier is None:
            if not self.classes:
                raise InputError(
                    f"{self.name} needs words for what is known: name the classes, or put known "
                    "pictures into one folder a class"
                )
            self._classifier = build_text_classifier(
                self.backbone, list(self.classes), templates=self.templates
            )
        return self._classifier

    def logits(self, features: Tensor, classifier: TextClassifier | None = None) -> Tensor:
        """(B, D) unit features → (B, K) logits; of synonyms the best counts."""
        text = classifier or self.classifier()
        logits = features @ text.weights.T * text.logit_scale
        if text.class_index is None:
            return logits
        index = text.class_index.expand_as(logits)
        empty = logits.new_full((len(logits), text.num_classes), -torch.inf)
        return empty.scatter_reduce(1, index, logits, "amax")

    @torch.inference_mode()
    def features(self, samples: Sequence[Sample]) -> Tensor:
        """Unit image features (B, D), fp32."""
        size = self.backbone.image_size
        parts = [
            F.normalize(self.backbone.vit.encode_image(images).float(), dim=-1)
            for _, images in iter_batches(self.backbone, samples, lambda _: size, self.batch_size)
        ]
        return torch.cat(parts) if parts else torch.empty(0, self.backbone.joint_dim)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            "method": self.name,
            "model": self.backbone.name,
            "classes": self.classes,
            "templates": self.templates,
            "known": len(self.held_out),
            "accept": None if self.fixed is not None else self.accept,
            "threshold": self.threshold,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def hold_out(self, features: Tensor, labels: Tensor) -> Tensor:
        """Score of each known picture by the others, (n,) fp32 on the CPU.

        Args:
            features: (n, D) unit rows.
            labels: (n,) classes.

        Raises:
            InputError: If too few pictures remain to learn from.
        """
        if not self.needs_known:
            return self.foreignness()(features).float().cpu()
        scores = torch.empty(len(features))
        folds = torch.arange(len(features)) % min(FOLDS, len(features))
        for fold in folds.unique():
            out = (folds == fold).to(features.device)
            left = labels[~out].unique(return_inverse=True)[1]
            try:
                learned = self.learn(features[~out], left)
            except InputError as error:
                raise InputError(f"too few known pictures to hold some out: {error}") from error
            scores[out.cpu()] = learned(features[out]).float().cpu()
        return scores

    def _nearest(self, features: Tensor) -> list[str | None]:
        if not self.classes:
            return [None] * len(features)
        text = self.classifier()
        return [text.class_names[int(k)] for k in self.logits(features).argmax(-1)]


class RejectorBuilder(Protocol):
    """What a row of the catalogue with the task "reject" names."""

    def __call__(
        self,
        backbone: CLIPBackbone,
        classes: Sequence[str] = (),
        *,
        accept: float = 0.95,
        threshold: float | None = None,
        weights: str | Path | None = None,
    ) -> Rejector:
        """Make the rejector, see `Rejector`; `weights` is the file of the learned parts.

        Raises:
            InputError: If the method cannot use what is given.
        """


def builder(name: str, method: type[Rejector]) -> RejectorBuilder:
    """The catalogue's build function of a method without learned parts.

    Args:
        name: Of the method, in the catalogue.
        method: Its class.
    """

    def build(
        backbone: CLIPBackbone,
        classes: Sequence[str] = (),
        *,
        accept: float = 0.95,
        threshold: float | None = None,
        weights: str | Path | None = None,
    ) -> Rejector:
        refuse_weights(name, weights)
        return method(backbone, classes, accept=accept, threshold=threshold)

    return build
