"""Text classifier on dense features: the head of every segmentation method."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.structures import TextClassifier


def text_similarity(dense: Tensor, weights: Tensor) -> Tensor:
    """Cosine similarity of every patch with every query.

    Args:
        dense: (B, D, gh, gw), any length.
        weights: (P, D) unit rows.

    Returns:
        (B, P, gh, gw) in [-1, 1], fp32.
    """
    unit = F.normalize(dense.float(), dim=1)
    return torch.einsum("bdhw,pd->bphw", unit, weights.float())


def centre(dense: Tensor, share: float) -> Tensor:
    """Subtract `share` of the mean over patches, of unit features.

    Patches of a small or lightly trained tower all carry some of the whole picture's meaning;
    taking part of the common component away lets local meaning decide. dense (B, D, gh, gw).
    """
    if share == 0:
        return dense
    unit = F.normalize(dense.float(), dim=1)
    return unit - share * unit.mean((2, 3), keepdim=True)


def class_probabilities(logits: Tensor, classifier: TextClassifier) -> Tensor:
    """Soft-max over all queries, then the largest query of each class.

    The order matters for thresholds: soft-max first, maximum over synonyms after (SCLIP family).
    logits (P, ...) already multiplied by the logit scale → (K, ...).
    """
    probabilities = logits.softmax(0)
    if classifier.class_index is None:
        return probabilities
    index = classifier.class_index.to(logits.device)
    shape = (classifier.num_classes, *logits.shape[1:])
    spread = index.view(-1, *[1] * (logits.ndim - 1)).expand_as(probabilities)
    return logits.new_zeros(shape).scatter_reduce(0, spread, probabilities, "amax")
