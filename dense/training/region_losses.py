"""Losses of region alignment as pure functions.

Axis letters: R regions, L places of a region, N patches, K concepts, D joint width. Every function
returns a scalar, the mean over what it is given; the teacher's side never gets a gradient.

| function | paper |
|---|---|
| `region_distillation` | CLIPSelf, Wu et al., ICLR 2024, equation 2 |
| `correlation`, `correlation_distillation` | SCD, Qiu et al., ICLR 2025, arXiv:2504.02328 |
| `relation_distillation` | context half of DeCLIP, Wang et al., CVPR 2025, arXiv:2505.04410 |
| `concept_contrast`, `concept_distillation` | RegionCLIP, Zhong et al., CVPR 2022, eqs. 2 and 3 |
| `refinement` | self-training of SCD's Refiner, in our own words |
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.errors import InputError


def region_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of pooled regions to the teacher's class tokens of their crops.

    Args:
        student: (R, D), any length.
        teacher: (R, D), any length.
    """
    _require_equal("region_distillation", student, teacher)
    return (1 - F.cosine_similarity(student.float(), teacher.float().detach(), dim=-1)).mean()


def correlation(places: Tensor) -> Tensor:
    """Cosine of every place with every place. (..., L, D) → (..., L, L) in [-1, 1]."""
    unit = F.normalize(places.float(), dim=-1)
    return unit @ unit.transpose(-1, -2)


def correlation_distillation(
    student: Tensor,
    teacher: Tensor,
    *,
    student_temperature: float = 0.1,
    teacher_temperature: float = 0.1,
) -> Tensor:
    """Keep how places of a region relate: cross entropy between rows of soft-maxed correlations.

    Less the teacher's own entropy, so that 0 is reached when both agree (the gradient is the cross
    entropy's). The paper's temperatures are not known to us: the defaults are ours.

    Args:
        student: (R, L, D) places of the student's regions, any length.
        teacher: (R, L, E) the same places in the teacher, or in what refines it.
        student_temperature: Divides the student's cosines.
        teacher_temperature: Divides the teacher's cosines.
    """
    if student.shape[:-1] != teacher.shape[:-1]:
        raise InputError(
            "correlation_distillation needs the same places on both sides, got "
            f"{tuple(student.shape[:-1])} and {tuple(teacher.shape[:-1])}"
        )
    wanted = (correlation(teacher.detach()) / teacher_temperature).log_softmax(-1)
    found = (correlation(student) / student_temperature).log_softmax(-1)
    return (wanted.exp() * (wanted - found)).sum(-1).mean()


def relation_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the cosines between all patches.

    Args:
        student: (B, N, C) context features of the student.
        teacher: (B, N, E) features of a tower that knows what belongs together.
    """
    if student.shape[:-1] != teacher.shape[:-1]:
        raise InputError(
            "relation_distillation needs the same patches on both sides, got "
            f"{tuple(student.shape[:-1])} and {tuple(teacher.shape[:-1])}"
        )
    return F.mse_loss(correlation(student), correlation(teacher.detach()))


def concept_contrast(
    student: Tensor, concepts: Tensor, labels: Tensor, *, temperature: float = 0.01
) -> Tensor:
    """Cross entropy of regions to the concept that the teacher saw in them.

    Args:
        student: (R, D), any length.
        concepts: (K, D) unit rows.
        labels: (R,) the teacher's concept; −1 where it is not sure: such regions do not count.
        temperature: Divides the cosines.
    """
    logits = F.normalize(student.float(), dim=-1) @ concepts.float().T / temperature
    total = F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")
    return total / (labels >= 0).sum().clamp(min=1)


def concept_distillation(
    student: Tensor, teacher: Tensor, concepts: Tensor, *, temperature: float = 0.01
) -> Tensor:
    """Divergence of the student's concept probabilities from the teacher's (equation 3).

    Args:
        student: (R, D), any length.
        teacher: (R, D), any length.
        concepts: (K, D) unit rows.
        temperature: Divides the cosines of both.
    """
    _require_equal("concept_distillation", student, teacher)
    wanted, found = (
        (F.normalize(rows.float(), dim=-1) @ concepts.float().T / temperature).log_softmax(-1)
        for rows in (teacher.detach(), student)
    )
    return F.kl_div(found, wanted, reduction="batchmean", log_target=True)


def concept_labels(
    teacher: Tensor, concepts: Tensor, *, least: float = 0.0, temperature: float = 0.01
) -> Tensor:
    """The teacher's concept of each region; −1 where its probability is below `least`.

    Args:
        teacher: (R, D), any length.
        concepts: (K, D) unit rows.
        least: Probability in [0, 1].
        temperature: Divides the cosines.

    Returns:
        (R,) int64.
    """
    logits = F.normalize(teacher.float(), dim=-1) @ concepts.float().T / temperature
    best = logits.softmax(-1).max(-1)
    return torch.where(best.values >= least, best.indices, -1)


def refinement(whole: Tensor, crops: Tensor) -> Tensor:
    """Places of a region, refined within the whole picture, must be those of its own crop.

    Args:
        whole: (R, L, D) refined places.
        crops: (R, L, D) the frozen tower's places of the magnified crop.
    """
    _require_equal("refinement", whole, crops)
    return (1 - F.cosine_similarity(whole.float(), crops.float().detach(), dim=-1)).mean()


def _require_equal(name: str, student: Tensor, teacher: Tensor) -> None:
    if student.shape != teacher.shape:
        raise InputError(
            f"{name} needs two sets of rows of one shape, got {tuple(student.shape)} and "
            f"{tuple(teacher.shape)}"
        )
