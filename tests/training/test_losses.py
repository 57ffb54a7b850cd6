"""Losses against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dense.errors import InputError
from dense.training import losses, state_losses

X, Y = [1.0, 0.0], [0.0, 1.0]


def rows(*values: list[float]) -> Tensor:
    return torch.tensor(values)


def test_contrastive_of_two_pairs() -> None:
    # logits [[2, 0], [0, 2]]: every row loses log(1 + e^-2)
    value = losses.contrastive(rows(X, Y), rows(X, Y), torch.tensor(2.0))
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))


def test_contrastive_does_not_push_equal_captions_apart() -> None:
    # the same caption twice: the best that can be said is one half each
    value = losses.contrastive(rows(X, X), rows(X, X), torch.tensor(2.0))
    assert float(value) == pytest.approx(math.log(2))
    assert losses.soft_positives(rows(X, X)).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert losses.soft_positives(rows(X, Y)).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_contrastive_needs_equal_numbers() -> None:
    with pytest.raises(InputError, match="got 1 and 2"):
        losses.contrastive(rows(X), rows(X, Y), torch.tensor(1.0))


def test_teacher_cross_entropy() -> None:
    # teacher is even between two classes, the student says sigmoid(3) : sigmoid(-3)
    value = losses.teacher_cross_entropy(rows(X), rows(X, Y), 3.0, rows([0.0, 0.0]))
    expected = -0.5 * (math.log(1 / (1 + math.exp(-3))) + math.log(1 / (1 + math.exp(3))))
    assert float(value) == pytest.approx(expected)


def test_a_cold_teacher_is_a_hard_label() -> None:
    args = (rows(X), rows(X, Y), 3.0, rows([0.2, 0.1]))
    cold = losses.teacher_cross_entropy(*args, temperature=1e-3)
    assert float(cold) == pytest.approx(math.log(1 + math.exp(-3)), abs=1e-5)


def test_cosine_regression_and_weights() -> None:
    guess, target = rows(X, X, X), rows([2.0, 0.0], Y, [-1.0, 0.0])
    assert float(losses.cosine_regression(guess, target)) == pytest.approx(1.0)
    weights = torch.tensor([1.0, 1.0, 0.0])
    assert float(losses.cosine_regression(guess, target, weights=weights)) == pytest.approx(0.5)


def test_dense_regression_smooths_first() -> None:
    patches = rows([1.0, 1.0], [1.0, 1.0])[None]
    targets = rows(X, Y)[None]
    plain = losses.dense_regression(patches, targets)
    smoothed = losses.dense_regression(patches, targets, torch.full((1, 2, 2), 0.5))
    assert float(plain) == pytest.approx(1 - math.sqrt(0.5))
    assert float(smoothed) == pytest.approx(0.0, abs=1e-6)


def test_mil_needs_one_good_patch() -> None:
    logits = rows([50.0, 0.0])
    good = losses.mil_cross_entropy(rows(X, Y)[None], rows(X, Y), 10.0, logits)
    best = losses.mil_cross_entropy(rows(X, X)[None], rows(X, Y), 10.0, logits)
    assert float(good) == pytest.approx(math.log(2))  # both classes have one perfect patch
    assert float(best) == pytest.approx(math.log(1 + math.exp(-10)), abs=1e-6)


def test_state_logits_and_losses() -> None:
    states = torch.stack([rows(X, Y), rows(X, Y)])  # normal X, anomalous Y
    logits = state_losses.state_logits(rows(X, Y), states, 2.0, 0.5)
    assert logits.tolist() == [-1.5, 2.5]
    patches = state_losses.state_logits(rows(X, Y)[:, None].expand(2, 3, 2), states, 2.0, 0.0)
    assert patches.tolist() == [[-2.0] * 3, [2.0] * 3]
    value = state_losses.state_loss(torch.tensor([0.0, 0.0]), torch.tensor([0.0, 1.0]))
    assert float(value) == pytest.approx(math.log(2))


def test_patch_states_skip_touched_and_weigh_defects() -> None:
    # one intact patch, one wholly defective, one touched by one per cent
    logits, coverage = torch.tensor([[0.0, 2.0, 9.0]]), torch.tensor([[0.0, 0.25, 0.01]])
    expected = (math.log(2) + 4 * math.log(1 + math.exp(-2))) / 5
    assert float(state_losses.patch_state_loss(logits, coverage)) == pytest.approx(expected)


def test_half_covered_patch_is_a_soft_target() -> None:
    value = state_losses.patch_state_loss(torch.tensor([[1.0]]), torch.tensor([[0.125]]))
    expected = 0.5 * (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(1)))
    assert float(value) == pytest.approx(expected)


def test_window_states_skip_touched() -> None:
    value = state_losses.window_state_loss(torch.tensor([[0.0, 5.0]]), torch.tensor([[0.2, 0.05]]))
    assert float(value) == pytest.approx(math.log(2))


def test_pair_ranking() -> None:
    value = state_losses.pair_ranking(torch.tensor([1.0]), torch.tensor([3.0]))
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))


def test_typed_states_look_at_defects_alone() -> None:
    patches, phrases = rows(X, Y)[None], rows(X, Y)[None]
    labels, coverage = torch.tensor([0]), torch.tensor([[1.0, 0.0]])
    value = state_losses.typed_state_loss(patches, phrases, 2.0, labels, coverage)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))


def test_class_cross_entropy() -> None:
    args = (rows(X), rows(X, Y), 2.0, torch.tensor([0]))
    value = losses.class_cross_entropy(*args, label_smoothing=0.0)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))
    smooth = losses.class_cross_entropy(*args, label_smoothing=0.1)
    expected = 0.95 * math.log(1 + math.exp(-2)) + 0.05 * math.log(1 + math.exp(2))
    assert float(smooth) == pytest.approx(expected)


def test_word_cross_entropy_is_weighted() -> None:
    index = torch.tensor([[[0, 1], [1, 0]]])
    weight = torch.tensor([[[3.0, 0.0], [0.0, 0.0]]])
    value = losses.word_cross_entropy(rows(X, Y)[None], rows(X, Y), 2.0, index, weight)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-2)))


def test_mimicry_is_the_squared_chord() -> None:
    assert float(losses.mimicry(rows([3.0, 0.0]), rows([0.0, 2.0]))) == pytest.approx(2.0)


def test_relational_vanishes_at_the_teacher() -> None:
    teacher = rows(X, Y)
    assert float(losses.relational(teacher, teacher)) == pytest.approx(0.0, abs=1e-6)
    # both students at X: row 2 says (1, 0) where the teacher says (0, 1); logits 20 apart
    worse = losses.relational(rows(X, X), teacher)
    assert float(worse) == pytest.approx(20 / 2, rel=1e-3)
