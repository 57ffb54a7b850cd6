"""Region losses on cases worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from dense.errors import InputError
from dense.training import region_losses as losses

X, Y = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])


def test_region_distillation_is_one_minus_the_cosine() -> None:
    assert losses.region_distillation(3 * X, 5 * X).item() == pytest.approx(0)
    assert losses.region_distillation(X, Y).item() == pytest.approx(1)
    both = losses.region_distillation(torch.cat([X, X]), torch.cat([X, -X]))
    assert both.item() == pytest.approx(1)  # (0 + 2) / 2


def test_no_gradient_reaches_the_teacher() -> None:
    student, teacher = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4)
    teacher.requires_grad_()
    for loss in (
        losses.region_distillation(student, teacher),
        losses.correlation_distillation(student, teacher),
        losses.relation_distillation(student, teacher),
        losses.concept_distillation(student[0], teacher[0], torch.eye(4)),
        losses.refinement(student, teacher),
    ):
        loss.backward()
    assert teacher.grad is None and student.grad is not None and student.grad.abs().sum() > 0


def test_correlation_of_two_places() -> None:
    places = torch.cat([2 * X, X + Y])[None]
    half = math.sqrt(0.5)
    torch.testing.assert_close(losses.correlation(places), torch.tensor([[[1, half], [half, 1.0]]]))


def test_correlation_distillation_by_hand() -> None:
    """Teacher's places orthogonal, student's equal: rows are soft-max (1, 0) against (½, ½)."""
    teacher, student = torch.cat([X, Y])[None], torch.cat([X, X])[None]
    p = 1 / (1 + math.exp(-1 / 0.5))
    wanted = p * math.log(p / 0.5) + (1 - p) * math.log((1 - p) / 0.5)
    found = losses.correlation_distillation(
        student, teacher, student_temperature=0.25, teacher_temperature=0.5
    )
    assert found.item() == pytest.approx(wanted, abs=1e-6)
    assert losses.correlation_distillation(teacher, 7 * teacher).item() == pytest.approx(0)


def test_correlation_does_not_care_for_the_width_or_a_rotation() -> None:
    teacher = torch.randn(1, 5, 3)
    turn = torch.linalg.qr(torch.randn(3, 3)).Q
    padded = torch.nn.functional.pad(teacher @ turn, (0, 4))
    assert losses.correlation_distillation(padded, teacher).item() == pytest.approx(0, abs=1e-6)


def test_relation_distillation_by_hand() -> None:
    """Cosines (1, 0; 0, 1) against all ones: the mean of 0, 1, 1, 0."""
    orthogonal, equal = torch.cat([X, Y])[None], torch.cat([X, X])[None]
    assert losses.relation_distillation(orthogonal, equal).item() == pytest.approx(0.5)


def test_concept_labels_and_contrast_by_hand() -> None:
    concepts, regions = torch.eye(2), torch.cat([X, X + Y])
    labels = losses.concept_labels(regions, concepts, least=0.6, temperature=1.0)
    assert labels.tolist() == [0, -1]  # e / (e + 1) = .73; the other is a tie
    loss = losses.concept_contrast(regions, concepts, labels, temperature=1.0)
    assert loss.item() == pytest.approx(math.log(1 + math.exp(-1)))  # the first region alone
    none = losses.concept_contrast(regions, concepts, torch.tensor([-1, -1]))
    assert none.item() == 0


def test_concept_distillation_by_hand() -> None:
    """Soft-max (1, 0) against (0, 1): the log ratio is ±1."""
    p = 1 / (1 + math.exp(-1))
    found = losses.concept_distillation(Y, X, torch.eye(2), temperature=1.0)
    assert found.item() == pytest.approx(p - (1 - p))
    assert losses.concept_distillation(X, 2 * X, torch.eye(2)).item() == pytest.approx(0)


def test_shapes_must_agree() -> None:
    with pytest.raises(InputError, match="region_distillation needs two sets of rows of one"):
        losses.region_distillation(X, torch.eye(2))
    with pytest.raises(InputError, match="the same places"):
        losses.correlation_distillation(torch.ones(1, 2, 3), torch.ones(1, 3, 3))
    with pytest.raises(InputError, match="the same patches"):
        losses.relation_distillation(torch.ones(1, 2, 3), torch.ones(1, 3, 3))
