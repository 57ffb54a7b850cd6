"""AUROC and FPR95 of foreignness, against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score, roc_curve

from dense.errors import InputError
from dense.metrics import rejection_scores


@pytest.mark.parametrize("ties", [False, True])
def test_equals_scikit_learn(ties: bool) -> None:
    rng = np.random.default_rng(3)
    known, foreign = rng.normal(0, 1, 200), rng.normal(1.5, 1, 300)
    if ties:
        known, foreign = known.round(1), foreign.round(1)
    got = rejection_scores(known, foreign)
    labels, scores = np.r_[np.ones(200), np.zeros(300)], -np.r_[known, foreign]
    assert got["auroc"] == pytest.approx(100 * roc_auc_score(labels, scores))
    fpr, tpr, _ = roc_curve(labels, scores, drop_intermediate=False)
    assert got["fpr95"] == pytest.approx(100 * fpr[np.argmax(tpr >= 0.95)])


def test_by_hand() -> None:
    """Of 20 known scores 1 … 20 the 19 lowest pass up to 19; 2 of 4 foreign ones do too."""
    got = rejection_scores(np.arange(1, 21), [5, 18.5, 19.5, 30])
    assert got["fpr95"] == 50.0
    assert got["auroc"] == pytest.approx(100 * (4.5 + 18 + 19 + 20) / 80)


def test_refusals() -> None:
    with pytest.raises(InputError, match="foreign scores must hold at least one"):
        rejection_scores([1.0], [])
    with pytest.raises(InputError, match="known scores must be finite"):
        rejection_scores([float("nan")], [1.0])
