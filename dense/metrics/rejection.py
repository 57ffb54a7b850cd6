"""Metrics of telling known from foreign pictures."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dense.metrics._checks import as_finite
from dense.metrics.ranking import auroc, fpr_at_tpr


def rejection_scores(known: ArrayLike, foreign: ArrayLike) -> dict[str, float]:
    """AUROC and FPR95 of foreignness scores, in percent.

    FPR95 is the share of foreign pictures that pass where 95 % of the known ones do; no
    interpolation (CLIPN's evaluation interpolates, ViM's rounds the 95 % down).

    Args:
        known: Scores of known pictures, larger is more foreign.
        foreign: Scores of foreign pictures.

    Returns:
        ``auroc`` and ``fpr95``.

    Raises:
        InputError: If there are none of a kind, or a score is not finite.
    """
    inside = as_finite(known, "known scores").ravel().astype(np.float64)
    outside = as_finite(foreign, "foreign scores").ravel().astype(np.float64)
    scores = -np.concatenate([inside, outside])
    labels = np.concatenate([np.ones(inside.size), np.zeros(outside.size)])
    return {
        "auroc": 100 * auroc(scores, labels),
        "fpr95": 100 * fpr_at_tpr(scores, labels, 0.95),
    }
