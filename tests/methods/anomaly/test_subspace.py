"""The subspace method: hand-worked residuals, scikit-learn, laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from dense.errors import InputError, NotFittedError
from dense.heads.subspace import fit_subspace
from dense.methods.anomaly.subspace import SubspaceInspector, SubspaceSettings
from dense.structures import Sample
from tests.helpers import photo, tiny_backbone
from tests.reference.memory_inputs import formula_rows

SMALL = SubspaceSettings(layers=(-2, -1), short_side=32, rotations=2)


def samples(*seeds: int) -> list[Sample]:
    return [Sample(photo(40, 56, seed)) for seed in seeds]


def test_residual_by_hand() -> None:
    """Points on a line through (0, 0, 1): what stands off it is the residual."""
    line = torch.tensor([[-1.0, 0, 1], [0, 0, 1], [3, 0, 1]])
    space = fit_subspace(line, 0.99)
    assert len(space.axes) == 1
    residual = space.residual(torch.tensor([[9.0, 0, 1], [5, 3, 1], [0, 3, 5]]))
    torch.testing.assert_close(residual, torch.tensor([0.0, 3, 5]), atol=1e-5, rtol=0)


@pytest.mark.parametrize("variance", [0.5, 0.9, 0.99])
def test_equals_scikit_learn(variance: float) -> None:
    rows = formula_rows(200, 12, 1) * torch.arange(1, 13) ** 2
    theirs = PCA(variance, svd_solver="full").fit(rows.double().numpy())
    ours = fit_subspace(rows, variance)
    assert len(ours.axes) == theirs.n_components_
    probe = formula_rows(20, 12, 2)
    back = theirs.inverse_transform(theirs.transform(probe.double().numpy()))
    expected = np.linalg.norm(probe.double().numpy() - back, axis=1)
    np.testing.assert_allclose(ours.residual(probe).numpy(), expected, atol=1e-4, rtol=1e-4)


def test_support_is_nearer_than_other_pictures() -> None:
    inspector = SubspaceInspector(tiny_backbone(), "nut", SMALL).fit(samples(0))
    known, other = inspector.predict(samples(0, 9))
    assert known.score < 0.5 * other.score
    assert other.anomaly_map.shape == (40, 56) and other.anomaly_map.min() >= 0
    card = inspector.describe()
    assert (card["method"], card["shots"], card["rotations"]) == ("SubspaceAD", [1], 2)


def test_a_larger_share_leaves_less() -> None:
    backbone, scores = tiny_backbone(), []
    for variance in (0.5, 0.99):
        settings = SubspaceSettings(layers=(-2,), short_side=32, rotations=1, variance=variance)
        inspector = SubspaceInspector(backbone, "nut", settings).fit(samples(0, 1))
        scores.append(inspector.predict(samples(9))[0].score)
    assert scores[1] < scores[0]


def test_refusals() -> None:
    inspector = SubspaceInspector(tiny_backbone(), "nut", SMALL)
    with pytest.raises(NotFittedError, match="call fit"):
        inspector.predict(samples(0))
    with pytest.raises(InputError, match="all patches of the support are alike"):
        fit_subspace(torch.ones(4, 3), 0.9)
    with pytest.raises(InputError, match="variance must lie between 0 and 1"):
        SubspaceSettings(variance=1.0)
    with pytest.raises(InputError, match="no support images"):
        inspector.fit([])
