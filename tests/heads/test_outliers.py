"""Foreignness scores: the public ViM code, scikit-learn, and hand-worked rules."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal
from sklearn.covariance import LedoitWolf

from dense.errors import InputError
from dense.heads.outliers import (
    agreeing_to_differ,
    competing_to_win,
    fit_gaussians,
    fit_vim,
    ledoit_wolf,
    max_softmax,
    vim_dimensions,
)
from tests.reference.memory_inputs import formula_rows

REFERENCE = json.loads((Path(__file__).parents[1] / "reference" / "vim.json").read_text())
KNOWN, PROBES = formula_rows(60, 16, 11), formula_rows(6, 16, 12)
LABELS = torch.arange(60) % 5


def test_vim_equals_the_authors_code() -> None:
    """Numbers of haoqiwang/vim's benchmark.py on the same rows; their score is its negative."""
    weights, bias = 3 * formula_rows(5, 16, 13), formula_rows(5, 1, 14)[:, 0]
    vim = fit_vim(KNOWN, weights, bias, dimensions=8)
    assert vim.scale == pytest.approx(REFERENCE["alpha"], rel=1e-6)
    np.testing.assert_allclose(-vim(PROBES).numpy(), REFERENCE["vim"], atol=1e-6)


def test_mahalanobis_equals_the_authors_code() -> None:
    gaussians = fit_gaussians(KNOWN, LABELS, shrinkage=0.0)
    np.testing.assert_allclose(
        -gaussians.mahalanobis(PROBES).numpy(), REFERENCE["mahalanobis"], rtol=1e-5
    )


def test_shrinkage_equals_scikit_learn() -> None:
    for count in (5, 30, 60):
        rows = KNOWN[:count].double()
        theirs = LedoitWolf().fit(rows.numpy())
        assert ledoit_wolf(rows - rows.mean(0)) == pytest.approx(theirs.shrinkage_, abs=1e-9)
        gaussians = fit_gaussians(rows, torch.zeros(count, dtype=torch.int64))
        np.testing.assert_allclose(
            gaussians.mahalanobis(PROBES).numpy(), theirs.mahalanobis(PROBES.numpy()), rtol=1e-6
        )


def test_two_pictures_are_shrunk_by_half() -> None:
    """Variance 1 on the first of four axes: half of it stays, half is spread over the four."""
    rows = torch.tensor([[1.0, 0, 0, 0], [-1, 0, 0, 0]])
    assert ledoit_wolf(rows.double()) == pytest.approx(0, abs=1e-9)
    gaussians = fit_gaussians(rows, torch.zeros(2, dtype=torch.int64))
    squares = gaussians.mahalanobis(torch.eye(4))
    torch.testing.assert_close(squares, torch.tensor([1 / 0.625] + [1 / 0.125] * 3).double())


def test_density_equals_scipys_mixture() -> None:
    labels = torch.tensor([0] * 45 + [1] * 15)
    gaussians = fit_gaussians(KNOWN[:, :4], labels, shrinkage=0.3)
    covariance = torch.linalg.inv(gaussians.factor.T @ gaussians.factor).numpy()
    density = sum(
        share * multivariate_normal(mean.numpy(), covariance).pdf(PROBES[:, :4].numpy())
        for share, mean in zip((0.75, 0.25), gaussians.means, strict=True)
    )
    np.testing.assert_allclose(
        gaussians.negative_log_density(PROBES[:, :4]).numpy(), -np.log(density), rtol=1e-8
    )


def test_maximum_softmax_by_hand() -> None:
    logits = torch.tensor([[0.0, 0.0], [math.log(3), 0.0]])
    assert max_softmax(logits).tolist() == pytest.approx([0.5, 0.25])


def test_clipns_rules_by_hand() -> None:
    """p(k) = .75, .25; p(yes | k) = .8, .5: CTW denies the first by .2, ATD leaves .275."""
    yes = torch.tensor([[math.log(3), 0.0]])
    no = torch.tensor([[math.log(3) - math.log(4), 0.0]])
    assert competing_to_win(yes, no).item() == pytest.approx(0.2)
    assert agreeing_to_differ(yes, no).item() == pytest.approx(1 - 0.75 * 0.8 - 0.25 * 0.5)


@pytest.mark.parametrize(
    ("width", "count", "expected"),
    [(2048, 10**6, 1000), (768, 10**6, 512), (512, 10**6, 256), (512, 40, 20), (8, 4, 2)],
)
def test_principal_dimensions(width: int, count: int, expected: int) -> None:
    assert vim_dimensions(width, count) == expected


def test_refusals() -> None:
    with pytest.raises(InputError, match="four known pictures or more, got 3"):
        fit_vim(KNOWN[:3], formula_rows(2, 16))
    with pytest.raises(InputError, match="1 to 15 dimensions, got 16"):
        fit_vim(KNOWN, formula_rows(2, 16), dimensions=16)
    with pytest.raises(InputError, match="two known pictures or more"):
        fit_gaussians(KNOWN[:1], torch.tensor([0]))
    with pytest.raises(InputError, match="all alike"):
        fit_gaussians(torch.ones(4, 3), torch.zeros(4, dtype=torch.int64))
