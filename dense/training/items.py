"""What a training step of image and text reads: pictures or cached features, words, pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.errors import InputError


@dataclass(frozen=True)
class WindowTokens:
    """Windows of a pair that ran through the frozen blocks alone.

    Attributes:
        tokens: (2, K, T, C): intact and damaged, class tokens first.
        coverage: (K,) greatest share of a patch of the window that the damage covers.
    """

    tokens: Tensor
    coverage: Tensor


@dataclass(frozen=True)
class PairItem:
    """A thing intact and damaged, as pictures or as cached tokens.

    Attributes:
        name: Words for the thing.
        kind: Kind of damage.
        coverage: (N,) share of each patch that the damage covers.
        images: (2, h, w, 3) uint8, intact and damaged.
        tokens: (2, T, C) after the frozen prefix.
        windows: One entry for each window size.
    """

    name: str
    kind: str
    coverage: Tensor
    images: NDArray[np.uint8] | None = None
    tokens: Tensor | None = None
    windows: tuple[WindowTokens, ...] = ()

    def __post_init__(self) -> None:
        _require_one("PairItem", self.images is not None, self.tokens is not None)


@dataclass(frozen=True)
class TrainingItem:
    """A picture with words and what the teacher sees in it.

    Attributes:
        texts: At least one.
        kind: ``"class"``, ``"caption"`` or ``"tags"``.
        image: (h, w, 3) uint8, a square view.
        tokens: (T, C) after the frozen prefix.
        codes: (R,) the teacher's code of the picture.
        dense_codes: (N, R) of its patches.
        word_index: (N, k) aligned words of each patch.
        word_weight: (N, k) how sure the alignment is.
        pair: An intact and a damaged thing for the state losses.
    """

    texts: tuple[str, ...]
    kind: str
    image: NDArray[np.uint8] | None = None
    tokens: Tensor | None = None
    codes: Tensor | None = None
    dense_codes: Tensor | None = None
    word_index: Tensor | None = None
    word_weight: Tensor | None = None
    pair: PairItem | None = None

    def __post_init__(self) -> None:
        _require_one("TrainingItem", self.image is not None, self.tokens is not None)
        if not self.texts:
            raise InputError("TrainingItem.texts must hold at least one text")


def stacked(values: Sequence[Tensor | None]) -> Tensor | None:
    """Stack if all items of a batch have the value; ``None`` if any lacks it."""
    present = [value for value in values if value is not None]
    if not present or len(present) != len(values):
        return None
    return torch.stack(present)


def _require_one(owner: str, picture: bool, tokens: bool) -> None:
    if picture == tokens:
        raise InputError(f"{owner} needs either a picture or cached tokens")
