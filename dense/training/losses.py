"""Losses of image-text training as pure functions.

Axis letters: B images, N patches, K classes, D joint width, T tokens, W windows. Embeddings are
unit rows unless said otherwise; every function returns a scalar, the mean over what it is given.

| function | paper |
|---|---|
| `contrastive` | CLIP, Radford et al. 2021; several positives as in UniCL, Yang et al. 2022 |
| `teacher_cross_entropy` | Hinton et al. 2015; with texts as classifier CLIP-KD, Yang et al. 2024 |
| `cosine_regression`, `mimicry` | feature mimicry of CLIP-KD, section 3.2 |
| `dense_regression` | CLIPSelf, Wu et al. 2024, equation 2, with patch targets of a teacher |
| `mil_cross_entropy` | multiple-instance pooling, Pinheiro and Collobert 2015 |
| `class_cross_entropy` | all names as negatives: UniCL's classification half |
| `word_cross_entropy` | alignment of words and regions, Duygulu et al. 2002 |
| `relational` | relational distillation, Park et al. 2019 |
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError


def soft_positives(text: Tensor, *, threshold: float = 0.95) -> Tensor:
    """Which captions of a batch count as the caption of which picture.

    Equal or nearly equal captions (class names repeat in a batch) share the weight, so that they
    are not pushed apart.

    Args:
        text: (B, D) unit rows.
        threshold: Cosine from which two captions mean the same.

    Returns:
        (B, B) rows that sum to one.
    """
    same = (text @ text.T > threshold).to(text.dtype)
    same.fill_diagonal_(1.0)
    return same / same.sum(1, keepdim=True)


def contrastive(image: Tensor, text: Tensor, scale: Tensor, *, threshold: float = 0.95) -> Tensor:
    """Symmetric cross entropy between pictures and captions of a batch.

    Args:
        image: (B, D) unit rows.
        text: (B, D) unit rows.
        scale: Multiplier from cosine similarity to logits.
        threshold: See `soft_positives`.
    """
    _require_rows("contrastive", image, text)
    positives = soft_positives(text.detach(), threshold=threshold)
    logits = scale * image @ text.T
    by_image = -(positives * logits.log_softmax(1)).sum(1).mean()
    by_text = -(positives * logits.T.log_softmax(1)).sum(1).mean()
    return (by_image + by_text) / 2


def teacher_cross_entropy(
    embeddings: Tensor,
    classifier: Tensor,
    scale: Tensor | float,
    teacher_logits: Tensor,
    *,
    temperature: float = 1.0,
    prior: Tensor | None = None,
) -> Tensor:
    """Cross entropy of the student's class probabilities to a teacher's.

    Up to the teacher's entropy this is the Kullback-Leibler divergence.

    Args:
        embeddings: (..., D) unit rows.
        classifier: (K, D) unit rows, the text features of the teacher's classes.
        scale: Multiplier from cosine similarity to logits.
        teacher_logits: (..., K).
        temperature: Divides the teacher's logits; below 1 sharpens.
        prior: (K,) added to the student's logits, see `dense.training.context.LabelPrior`.
    """
    targets = (teacher_logits / temperature).softmax(-1)
    logits = scale * embeddings @ classifier.T
    logits = logits if prior is None else logits + prior
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


def cosine_regression(
    embeddings: Tensor, targets: Tensor, *, weights: Tensor | None = None
) -> Tensor:
    """One minus the cosine to a target embedding.

    Args:
        embeddings: (..., D), any length.
        targets: (..., D), any length.
        weights: (...) how much each row counts; all alike if ``None``.
    """
    distance = 1 - F.cosine_similarity(embeddings, targets, dim=-1)
    if weights is None:
        return distance.mean()
    return (distance * weights).sum() / weights.sum().clamp(min=1e-6)


def dense_regression(patches: Tensor, targets: Tensor, affinity: Tensor | None = None) -> Tensor:
    """Cosine regression of patches onto a teacher's patch embeddings.

    Args:
        patches: (B, N, D).
        targets: (B, N, D).
        affinity: (B, N, M) rows that sum to one, with (B, M, D) targets: smooths the targets over
            patches that look alike before they are compared.
    """
    if affinity is not None:
        targets = affinity @ targets
    return cosine_regression(patches, targets)


def mil_cross_entropy(
    patches: Tensor,
    classifier: Tensor,
    scale: Tensor | float,
    teacher_logits: Tensor,
    *,
    sharpness: float = 0.5,
    temperature: float = 1.0,
) -> Tensor:
    """The best patches of a picture must explain its classes.

    Logits are pooled over patches by log-sum-exp, a soft maximum.

    Args:
        patches: (B, N, D) unit rows.
        classifier: (K, D) unit rows.
        scale: Multiplier from cosine similarity to logits.
        teacher_logits: (B, K) of the whole picture.
        sharpness: 0 would be the mean, infinity the maximum.
        temperature: Divides the teacher's logits.
    """
    logits = scale * patches @ classifier.T
    pooled = torch.logsumexp(sharpness * logits, dim=1) / sharpness
    targets = (teacher_logits / temperature).softmax(-1)
    return -(targets * pooled.log_softmax(-1)).sum(-1).mean()


def class_cross_entropy(
    embeddings: Tensor,
    classifier: Tensor,
    scale: Tensor | float,
    labels: Tensor,
    *,
    label_smoothing: float = 0.05,
    prior: Tensor | None = None,
) -> Tensor:
    """Cross entropy over all class names: a contrastive loss whose negatives are complete.

    Args:
        embeddings: (B, D) unit rows.
        classifier: (K, D) unit rows.
        scale: Multiplier from cosine similarity to logits.
        labels: (B,) class indices.
        label_smoothing: Share of the target spread over all classes.
        prior: (K,) added to the logits, see `dense.training.context.LabelPrior`.
    """
    logits = scale * embeddings @ classifier.T
    logits = logits if prior is None else logits + prior
    return F.cross_entropy(logits, labels, label_smoothing=label_smoothing)


def word_cross_entropy(
    patches: Tensor,
    words: Tensor,
    scale: Tensor | float,
    index: Tensor,
    weight: Tensor,
    *,
    prior: Tensor | None = None,
) -> Tensor:
    """Cross entropy of patches to a few aligned words each.

    Args:
        patches: (B, N, D) unit rows.
        words: (V, D) unit rows, the vocabulary.
        scale: Multiplier from cosine similarity to logits.
        index: (B, N, k) words of each patch.
        weight: (B, N, k) how sure the alignment is; 0 where it says nothing.
        prior: (V,) added to the logits, see `dense.training.context.LabelPrior`.
    """
    logits = scale * patches @ words.T
    logits = logits if prior is None else logits + prior
    log_probability = logits.log_softmax(-1).gather(-1, index)
    return -(weight * log_probability).sum() / weight.sum().clamp(min=1)


def mimicry(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared error of unit features, summed over width. (..., D) of any length."""
    difference = F.normalize(student, dim=-1) - F.normalize(teacher, dim=-1)
    return difference.pow(2).sum(-1).mean()


def relational(student: Tensor, teacher: Tensor, *, scale: float = 20.0) -> Tensor:
    """Each student row must be as near to every teacher row of the batch as its own teacher is.

    The Kullback-Leibler divergence of the soft-maxed similarities; unlike a contrastive loss it
    does not push apart phrases that the teacher finds alike.

    Args:
        student: (B, D) unit rows.
        teacher: (B, D) unit rows.
        scale: Multiplier of cosines before the soft-max.
    """
    _require_rows("relational", student, teacher)
    ours = (scale * student @ teacher.T).log_softmax(1)
    theirs = (scale * teacher @ teacher.T).softmax(1)
    return F.kl_div(ours, theirs, reduction="batchmean")


def _require_rows(name: str, first: Tensor, second: Tensor) -> None:
    if len(first) != len(second):
        raise InputError(
            f"{name} needs one row of each kind a picture, got {len(first)} and {len(second)}"
        )
