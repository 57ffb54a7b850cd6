"""The teacher's and the aligned words' losses, for whole pictures and for patches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from dense.training import losses
from dense.training.context import LabelPrior
from dense.training.items import TrainingItem, stacked
from dense.training.settings import Terms
from dense.training.student import Outputs
from dense.training.teacher_targets import TeacherTargets


@dataclass(frozen=True)
class TeacherView:
    """What the teacher sees in a batch.

    Attributes:
        codes: (B, R) of whole pictures.
        dense: (B, N, R) of patches, if there are any.
        texts: (K, D) text features of its classes, in the version of this step.
    """

    codes: Tensor
    dense: Tensor | None
    texts: Tensor


def global_terms(
    teacher: TeacherTargets,
    terms: Terms,
    out: Outputs,
    seen: TeacherView,
    scale: Tensor,
    head: nn.Module | None,
    prior: LabelPrior | None = None,
) -> dict[str, Tensor]:
    """Losses against the teacher's view of whole pictures; see `Terms`."""
    found: dict[str, Tensor] = {}
    logits = teacher.logits(seen.codes)
    if prior is not None:
        prior.update(logits.softmax(-1))
    if terms.teacher:
        log = None if prior is None else prior.log()
        value = losses.teacher_cross_entropy(out.class_token, seen.texts, scale, logits, prior=log)
        found["loss_teacher"] = terms.teacher * value
    if terms.regression:
        value = losses.cosine_regression(out.class_token, teacher.embed(seen.codes, _share(prior)))
        found["loss_regression"] = terms.regression * value
    if terms.mil:
        value = losses.mil_cross_entropy(out.patches, seen.texts, scale, logits)
        found["loss_mil"] = terms.mil * value
    if head is not None and terms.mimicry:
        value = losses.cosine_regression(head(out.features[:, 0]), seen.codes)
        found["loss_mimicry"] = terms.mimicry * value
    return found


def dense_terms(
    teacher: TeacherTargets,
    terms: Terms,
    out: Outputs,
    target: Tensor,
    texts: Tensor,
    scale: Tensor,
    head: nn.Module | None,
    prior: LabelPrior | None = None,
) -> dict[str, Tensor]:
    """Losses of patches against smoothed codes.

    Args:
        teacher: Meaning of the codes.
        terms: Weights.
        out: Of the student; its first n patches are compared.
        target: (B, n, R) codes of these patches.
        texts: (K, D).
        scale: Multiplier from cosine similarity to logits.
        head: From encoder width to codes.
        prior: Of the teacher's classes in patches.
    """
    found: dict[str, Tensor] = {}
    count, prefix = target.shape[1], out.features.shape[1] - out.patches.shape[1]
    if head is not None and terms.dense_mimicry:
        guess = head(out.features[:, prefix : prefix + count])
        found["loss_dense_mimicry"] = terms.dense_mimicry * losses.cosine_regression(guess, target)
    paths = [("", out.patches, 1.0)]
    if out.values is not None:
        paths.append(("_values", out.values, terms.values))
    if prior is not None:
        prior.update(teacher.logits(target).softmax(-1))
    log = None if prior is None else prior.log()
    for suffix, patches, factor in paths:
        patches = patches[:, :count]
        if terms.dense:
            logits = teacher.logits(target)
            value = losses.teacher_cross_entropy(patches, texts, scale, logits, prior=log)
            found["loss_dense" + suffix] = factor * terms.dense * value
        if terms.dense_regression:
            value = losses.dense_regression(patches, teacher.embed(target, _share(prior)))
            found["loss_dense_regression" + suffix] = factor * terms.dense_regression * value
    return found


def word_terms(
    terms: Terms,
    out: Outputs,
    samples: Sequence[TrainingItem],
    kept: Tensor,
    words: Tensor,
    scale: Tensor,
    prior: LabelPrior | None = None,
) -> dict[str, Tensor]:
    """Loss of patches against aligned words, over the items that have any.

    Args:
        terms: Weights.
        out: Of the student.
        samples: The batch.
        kept: (B, n) indices of the patches in `out`.
        words: (V, D) the vocabulary.
        scale: Multiplier from cosine similarity to logits.
        prior: Of the words.
    """
    rows = [i for i, item in enumerate(samples) if item.word_index is not None]
    index = stacked([samples[i].word_index for i in rows])
    weight = stacked([samples[i].word_weight for i in rows])
    if index is None or weight is None:
        return {}
    chosen = kept[rows]
    index = gather_patches(index.to(kept.device), chosen)
    weight = gather_patches(weight.to(kept.device), chosen)
    log = None
    if prior is not None:
        counts = torch.zeros(len(words), device=weight.device)
        prior.update(counts.index_add_(0, index.flatten(), weight.flatten())[None])
        log = prior.log()
    found = {}
    for suffix, patches, factor in (("", out.patches, 1.0), ("_values", out.values, terms.values)):
        if patches is not None:
            value = losses.word_cross_entropy(patches[rows], words, scale, index, weight, prior=log)
            found["loss_words" + suffix] = factor * terms.words * value
    return found


def _share(prior: LabelPrior | None) -> Tensor | None:
    return None if prior is None else prior.share


def gather_patches(rows: Tensor, index: Tensor) -> Tensor:
    """Take patches: (B, N, K) at (B, n) → (B, n, K)."""
    return rows.gather(1, index[..., None].expand(-1, -1, rows.shape[-1]))
