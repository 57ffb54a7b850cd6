"""Pseudo-labels, text spaces, word alignment: small cases with known answers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dense.errors import InputError
from dense.training.pseudo_labels import (
    affinity,
    fit_text_space,
    named_embedding,
    ridge,
    smooth,
)
from dense.training.word_alignment import align_words, fit_kinds, patch_words


def test_space_centres_and_normalises() -> None:
    space = fit_text_space(torch.tensor([[1.0, 0.0], [3.0, 2.0]]))
    assert space.mean.tolist() == [2.0, 1.0]
    torch.testing.assert_close(space(torch.tensor([[5.0, 5.0]])), torch.tensor([[0.6, 0.8]]))


def test_space_needs_phrases() -> None:
    with pytest.raises(InputError, match="at least two"):
        fit_text_space(torch.ones(1, 3))


def test_named_embedding_is_the_mean_of_the_best_names() -> None:
    texts = torch.eye(4)
    logits = torch.tensor([0.6, 0.3, 0.1]).log().repeat(1, 1)
    logits = torch.cat([logits, torch.full((1, 1), -30.0)], 1)
    found = named_embedding(logits, texts, top=2)
    torch.testing.assert_close(found, F.normalize(torch.tensor([[2.0, 1.0, 0.0, 0.0]]), dim=-1))
    centred = named_embedding(logits, texts, top=1, centre=torch.tensor([0.0, 5.0, 0.0, 0.0]))
    expected = F.normalize(torch.tensor([[1.0, -0.5, 0.0, 0.0]]), dim=-1)
    torch.testing.assert_close(centred, expected)


def test_ridge_finds_weight_and_intercept() -> None:
    inputs, weight = torch.randn(60, 3), torch.randn(3, 2)
    found, bias = ridge(inputs, inputs @ weight + torch.tensor([1.0, -2.0]), strength=1e-9)
    torch.testing.assert_close(found, weight, atol=1e-4, rtol=0)
    torch.testing.assert_close(bias, torch.tensor([1.0, -2.0]), atol=1e-4, rtol=0)


def test_affinity_averages_over_alike_patches() -> None:
    features = torch.tensor([[[1.0, 0.0], [1.0, 0.01], [-1.0, 0.0], [-1.0, 0.01]]])
    weights = affinity(features)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 4))
    labels = torch.tensor([[[1.0], [0.0], [5.0], [7.0]]])
    smoothed = smooth(labels, weights)
    torch.testing.assert_close(
        smoothed[0, :, 0], torch.tensor([0.5, 0.5, 6.0, 6.0]), atol=0.02, rtol=0
    )
    assert torch.equal(smooth(labels, weights, rounds=0), labels)


def test_words_find_their_patches() -> None:
    # kind 0 is sky, 1 grass, 2 is everywhere; no picture says which patch is which
    seen = torch.tensor([[0, 0, 1, 2], [0, 0, 2, 2], [1, 1, 2, 2], [0, 1, 1, 2]] * 5)
    said = [{0: 1.0, 1: 1.0}, {0: 1.0}, {1: 1.0}, {0: 1.0, 1: 1.0}] * 5
    table = align_words(said, seen, words=2, kinds=3)
    torch.testing.assert_close(table.sum(1), torch.ones(3, dtype=torch.float64))
    assert table[1].argmax() == 0
    assert table[2].argmax() == 1
    share = patch_words(table, {0: 1.0, 1: 1.0}, seen[0])
    assert share.shape == (4, 2)
    assert share[0, 0] > 0.8 and share[2, 1] > 0.8
    assert share[3].max() < 0.5  # the silent word takes its part of what is everywhere
    unlikely = patch_words(table, {0: 0.08, 1: 1.0}, seen[0])
    torch.testing.assert_close(
        unlikely[0, 0] / (1 - unlikely[0, 0]) * ((1 - share[0, 0]) / share[0, 0]),
        torch.tensor(0.08),
    )


def test_alignment_needs_words() -> None:
    with pytest.raises(InputError, match="got 1 and 2"):
        align_words([{0: 1.0}], torch.zeros(2, 3, dtype=torch.int64), words=1, kinds=1)
    with pytest.raises(InputError, match="no picture has words"):
        align_words([{}], torch.zeros(1, 3, dtype=torch.int64), words=1, kinds=1)


def test_kinds_are_clusters() -> None:
    corners = torch.tensor([[5.0, 0.0], [0.0, 5.0], [-5.0, -5.0]])
    patches = corners.repeat(20, 1) + 0.1 * torch.randn(60, 2)
    sorter = fit_kinds(patches, 6)
    found = sorter(patches).view(20, 3)
    for first, second in ((0, 1), (1, 2), (0, 2)):
        assert not set(found[:, first].tolist()) & set(found[:, second].tolist())
    with pytest.raises(InputError, match="61 kinds"):
        fit_kinds(patches, 61)
