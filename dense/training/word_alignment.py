"""Which patches a word means, learned from pictures with words and nothing else.

Patches are sorted into kinds by k-means; IBM's first alignment model finds which kinds tend to
occur where a word is said (Brown et al. 1993; for pictures Duygulu et al. 2002, "Object
recognition as machine translation"). A silent word takes what no word explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError

SILENT_PRIOR = 0.35
_SMOOTHING = 0.006


@dataclass(frozen=True)
class PatchKinds:
    """Centres of patch features.

    Attributes:
        mean: (C,) subtracted.
        std: (C,) divided by.
        centres: (K, C) unit rows.
    """

    mean: Tensor
    std: Tensor
    centres: Tensor

    def normalise(self, patches: Tensor) -> Tensor:
        """Unit rows (..., C) in which kinds are compared."""
        return F.normalize((patches.float() - self.mean) / self.std, dim=-1)

    def __call__(self, patches: Tensor) -> Tensor:
        """Kinds (...) of patches (..., C)."""
        return (self.normalise(patches) @ self.centres.T).argmax(-1)


def fit_kinds(patches: Tensor, count: int, *, rounds: int = 8, seed: int = 0) -> PatchKinds:
    """Spherical k-means on standardised features.

    Args:
        patches: (P, C) a sample of patches.
        count: K, at most P.
        rounds: Of k-means.
        seed: Of the first centres.

    Raises:
        InputError: If there are fewer patches than kinds.
    """
    if not 0 < count <= len(patches):
        raise InputError(f"{count} kinds need at least as many patches, got {len(patches)}")
    patches = patches.float()
    mean, std = patches.mean(0), patches.std(0, unbiased=False).clamp(min=1e-3)
    rows = F.normalize((patches - mean) / std, dim=-1)
    generator = torch.Generator().manual_seed(seed)
    centres = rows[torch.randperm(len(rows), generator=generator)[:count]].clone()
    for _ in range(rounds):
        nearest = torch.cat([(part @ centres.T).argmax(1) for part in rows.split(8192)])
        sums = torch.zeros_like(centres).index_add_(0, nearest, rows)
        filled = sums.norm(dim=1, keepdim=True) > 0
        centres = F.normalize(torch.where(filled, sums, centres), dim=-1)
    return PatchKinds(mean, std, centres)


def align_words(
    said: Sequence[Mapping[int, float]],
    seen: Tensor,
    *,
    words: int,
    kinds: int,
    rounds: int = 25,
) -> Tensor:
    """Expectation maximisation of the alignment model.

    Args:
        said: For each picture its words, by index from 0, with their prior probabilities.
        seen: (P, N) kinds of its patches.
        words: Number of words.
        kinds: Number of kinds.
        rounds: Of expectation maximisation.

    Returns:
        (1 + words, kinds) probability of a kind given a word; row 0 is the silent word.

    Raises:
        InputError: If the two differ in length, or no picture has words.
    """
    if len(said) != len(seen):
        raise InputError(f"every picture needs words and patches, got {len(said)} and {len(seen)}")
    pairs = [(i, w, p) for i, row in enumerate(said) if row for w, p in _with_silence(row)]
    if not pairs:
        raise InputError("no picture has words to align")
    picture, word, prior = (torch.tensor(column) for column in zip(*pairs, strict=True))
    background = torch.bincount(seen.flatten(), minlength=kinds).double()
    background = background / background.sum()
    table = torch.full((words + 1, kinds), 1 / kinds, dtype=torch.float64)
    table[0] = background
    for _ in range(rounds):
        share = _shares(table, picture, word, prior, seen)
        counts = (_SMOOTHING * kinds * background).repeat(words + 1, 1)
        flat = (word[:, None] * kinds + seen[picture]).flatten()
        counts.view(-1).index_add_(0, flat, share.flatten())
        table = counts / counts.sum(1, keepdim=True)
        table[0] = (table[0] + background) / 2
    return table


def patch_words(table: Tensor, said: Mapping[int, float], seen: Tensor) -> Tensor:
    """Probability (N, words said) that a patch of a picture shows each of its words.

    What is missing to one belongs to the silent word.

    Args:
        table: From `align_words`.
        said: Word indices of the picture with their prior probabilities.
        seen: (N,) kinds of its patches.
    """
    word, prior = (torch.tensor(column) for column in zip(*_with_silence(said), strict=True))
    share = _shares(table, torch.zeros_like(word), word, prior, seen[None])
    return share[1:].T.float()


def _with_silence(said: Mapping[int, float]) -> list[tuple[int, float]]:
    """Rows of the table, the silent word first, with priors."""
    return [(0, SILENT_PRIOR), *((word + 1, prior) for word, prior in said.items())]


def _shares(table: Tensor, picture: Tensor, word: Tensor, prior: Tensor, seen: Tensor) -> Tensor:
    """(pairs, N): which of a picture's words made each patch."""
    value = table[word[:, None], seen[picture]] * prior.double()[:, None]
    total = value.new_zeros(int(picture.max()) + 1, value.shape[1]).index_add_(0, picture, value)
    return value / total[picture].clamp(min=1e-12)
