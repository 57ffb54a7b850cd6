"""Pseudo-labels: what a closed-set classifier sees, said in the space of texts.

A classifier's logits over K known classes become an embedding in the text space, for whole
pictures and for patches; patches that look alike share their label.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError


@dataclass(frozen=True)
class TextSpace:
    """A centred space of text embeddings.

    Sentence embeddings share a large common direction, which says "this is a phrase" rather than
    which; taking it away spreads the classes (Mu and Viswanath 2018). Nothing is whitened: that
    raises directions that a small text tower cannot follow for words it has not met.

    Attributes:
        mean: (E,) subtracted.
    """

    mean: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """Map raw embeddings (..., E) to unit rows of this space."""
        return F.normalize(features.float() - self.mean, dim=-1)


def fit_text_space(phrases: Tensor) -> TextSpace:
    """Centre a `TextSpace` on sample phrases of all kinds, (P, E) raw embeddings.

    Raises:
        InputError: If there are fewer than two phrases.
    """
    if len(phrases) < 2:
        raise InputError(f"a text space needs at least two phrases, got {len(phrases)}")
    return TextSpace(phrases.float().mean(0))


def named_embedding(
    logits: Tensor, classifier: Tensor, *, top: int = 10, centre: Tensor | None = None
) -> Tensor:
    """Text embedding of what a classifier sees: the mean of its best class names.

    ConSE (Norouzi et al. 2014), so that words the classifier has never heard get their likeness
    from those it knows. Half of what all pictures have in common can be taken away; all of it
    would turn frequent labels into noise.

    Args:
        logits: (..., K) of the classifier.
        classifier: (K, D) text features of its classes, unit rows.
        top: Number of classes that count, weighted by their probability.
        centre: (D,) mean embedding of all pictures, any length.

    Returns:
        (..., D) unit rows.
    """
    share, index = logits.softmax(-1).topk(min(top, logits.shape[-1]), dim=-1)
    rows = F.normalize((share[..., None] * classifier[index]).sum(-2), dim=-1)
    if centre is None:
        return rows
    return F.normalize(rows - 0.5 * F.normalize(centre, dim=-1), dim=-1)


def ridge(inputs: Tensor, targets: Tensor, *, strength: float = 1e-3) -> tuple[Tensor, Tensor]:
    """Linear regression with an intercept, in float64.

    Args:
        inputs: (P, C).
        targets: (P, D).
        strength: Penalty as a share of the mean eigenvalue of the inputs' covariance.

    Returns:
        weight (C, D) and bias (D,), fp32: inputs @ weight + bias.
    """
    x, y = inputs.double(), targets.double()
    mx, my = x.mean(0), y.mean(0)
    x, y = x - mx, y - my
    gram = x.T @ x
    penalty = strength * gram.diagonal().mean().clamp(min=1e-12)
    eye = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    weight = torch.linalg.solve(gram + penalty * eye, x.T @ y)
    return weight.float(), (my - mx @ weight).float()


def affinity(features: Tensor, *, temperature: float = 0.08) -> Tensor:
    """Which patches of a picture look alike.

    The frozen tower's patches group objects better than a classifier's map; mixing labels along
    them sharpens edges and fills holes (the idea of ProxyCLIP, Lan et al. 2024). What all patches
    of the picture share is taken away first.

    Args:
        features: (B, N, C) patch tokens of a self-supervised block.
        temperature: Divides cosines before the soft-max.

    Returns:
        (B, N, N) rows that sum to one.
    """
    features = features.float()
    unit = F.normalize(features - features.mean(1, keepdim=True), dim=-1)
    return (unit @ unit.transpose(1, 2) / temperature).softmax(-1)


def smooth(labels: Tensor, weights: Tensor, *, rounds: int = 1) -> Tensor:
    """Average labels (B, N, K) over alike patches, `rounds` times. weights (B, N, N)."""
    for _ in range(rounds):
        labels = weights.to(labels.dtype) @ labels
    return labels
