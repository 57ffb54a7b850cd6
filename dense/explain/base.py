"""What an explanation is, and what a method of explaining does."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from dense.errors import InputError
from dense.explain.pair import Pair


@dataclass(frozen=True)
class Attribution:
    """What a method says of a pair; larger raises the score more, negative lowers it.

    Attributes:
        patches: (gh, gw).
        tokens: (T,) of the sentence's own tokens, start and end left out.
        parts: Further numbers of the method by name.
        interactions: (T, gh, gw) shares of each token and patch together, if the method has them.
        heads: (blocks, heads) share of each attention head of the image tower, if it has them.
        mean_of_tokens: A word's score is the mean of its tokens', not their sum.
    """

    patches: Tensor
    tokens: Tensor
    parts: Mapping[str, float] = field(default_factory=dict)
    interactions: Tensor | None = None
    heads: Tensor | None = None
    mean_of_tokens: bool = False


@dataclass(frozen=True)
class Explanation:
    """Which places and which words made the score of a picture and a sentence.

    Attributes:
        map: (H, W) float32 at original size; larger raises the score more.
        patches: (gh, gw) float32, the same on the patch grid, as the method gave it.
        words: W words.
        word_scores: (W,) float32.
        tokens: T names of tokens.
        token_scores: (T,) float32.
        score: What is explained: cosine similarity, less the mean of those to `against`.
        sentence: As given.
        against: Sentences that were subtracted.
        method: Protocol card: name and settings.
        parts: Further numbers of the method by name, e.g. shares that sum to the score.
        interactions: (T, gh, gw) float32 shares of each token and patch together, or ``None``.
        heads: (blocks, heads) float32 share of each head of the image tower, or ``None``.
    """

    map: NDArray[np.float32]
    patches: NDArray[np.float32]
    words: tuple[str, ...]
    word_scores: NDArray[np.float32]
    tokens: tuple[str, ...]
    token_scores: NDArray[np.float32]
    score: float
    sentence: str
    against: tuple[str, ...] = ()
    method: Mapping[str, object] = field(default_factory=dict)
    parts: Mapping[str, float] = field(default_factory=dict)
    interactions: NDArray[np.float32] | None = None
    heads: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        for name, items, scores in (
            ("word", self.words, self.word_scores),
            ("token", self.tokens, self.token_scores),
        ):
            if len(items) != len(scores):
                raise InputError(
                    f"an explanation needs one score a {name}, got {len(scores)} for {len(items)}"
                )


@dataclass(frozen=True)
class Explainer(ABC):
    """A method of explaining; subclasses are frozen dataclasses of their settings."""

    name: ClassVar[str]

    @abstractmethod
    def attribute(self, pair: Pair) -> Attribution:
        """Share the score out among patches and tokens.

        Raises:
            InputError: If the checkpoint's towers do not have what the method reads.
        """

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""
        return {"method": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


def needs_class_token(pair: Pair, name: str) -> None:
    """Refuse towers that pool anything but a class token.

    Raises:
        InputError: If the image tower does.
    """
    if not pair.backbone.vit.pools_class_token:
        raise InputError(
            f"{name} reads the class token of an open_clip image tower, which this checkpoint "
            "does not pool; choose another method, e.g. m2ib"
        )
