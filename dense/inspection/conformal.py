"""Thresholds that bound how many good parts are lost, from scores of good parts alone.

Split conformal prediction: Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World",
Springer 2005; Papadopoulos et al., ECML 2002. Spread of the share over calibrations: Vovk,
"Conditional validity of inductive conformal predictors", ACML 2012, arXiv:1209.2673. Leave-one-out
and folds: Barber et al., "Predictive inference with the jackknife+", Annals of Statistics 2021,
arXiv:1905.02928. For anomaly detection: Hennhöfer and Preisach, arXiv:2402.16388.

All functions are pure. Larger scores are more abnormal; a part is rejected if its score is above
the threshold, so ties are on the side of the good part. What they assume is that the parts of the
calibration and those to come are exchangeable: same product, camera, light and mix.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from scipy.stats import beta

from dense.errors import InputError


def conformal_rank(count: int, alpha: float, *, fold: int = 1) -> int | None:
    """Which of the sorted scores is the threshold, 1-based; ``None`` if even the largest is low.

    Split conformal and leave-one-out: the ⌈(1 − α)(n + 1)⌉-th smallest of n. The new part's score
    is then above it with probability at most α.

    Folds of m parts, each scored by a model of the other folds, and the new part by the *smallest*
    of its scores by these models (the minmax rule): the ⌈(1 − α)(n + m)⌉-th smallest. Barber et
    al. prove m = 1 (their jackknife-minmax, theorem 3). For m > 1 let the new part be one of m
    in a fold of its own, call a part strange if k or more parts of other folds, each scored
    without both folds, lie below the smallest of its own scores: then k parts of all n + m have a
    smaller smallest score, so at most n + m − k parts are strange, and the parts are exchangeable.
    The plain rank with the full model in the end would have no such bound, and CV+ with its rank
    only 2α.

    Args:
        count: n, scores of good parts.
        alpha: Share of good parts that may be lost, in (0, 1).
        fold: m.

    Raises:
        InputError: If alpha is no share or there are no scores.
    """
    check_alpha(alpha)
    if count < 1 or not 1 <= fold <= count:
        raise InputError(
            f"a calibration needs at least one good part and folds of 1 to n parts, got n = "
            f"{count} and folds of {fold}"
        )
    rank = math.ceil((1 - Fraction(repr(float(alpha)))) * (count + fold))
    return rank if rank <= count else None


def lowest_alpha(count: int, *, fold: int = 1, regions: int = 1) -> float:
    """The smallest bound that n good parts can support: m R / (n + m)."""
    return regions * fold / (count + fold)


def parts_needed(alpha: float, *, regions: int = 1) -> int:
    """Good parts that a bound needs in split and leave-one-out calibration: ⌈R / α⌉ − 1."""
    check_alpha(alpha)
    return max(1, math.ceil(regions / Fraction(repr(float(alpha)))) - 1)


def conformal_threshold(
    scores: Sequence[float], alpha: float, *, fold: int = 1, regions: int = 1
) -> float:
    """The threshold of one region.

    Args:
        scores: Of good parts in this region.
        alpha: Share of good parts that may be lost over all regions together.
        fold: Parts of a fold, see `conformal_rank`.
        regions: R; each has α / R, so that all together lose at most α (union bound, Bonferroni).

    Raises:
        InputError: If a score is not finite, or there are too few parts for this bound; the
            sentence says what is possible.
    """
    values = np.sort(np.asarray(scores, np.float64))
    if not np.isfinite(values).all():
        raise InputError("a score of a good part is not finite: look at its picture")
    share = Fraction(repr(float(alpha))) / regions
    rank = conformal_rank(len(values), float(share), fold=fold)
    if rank is None:
        raise InputError(floor_sentence(len(values), alpha, fold=fold, regions=regions))
    return float(values[rank - 1])


def floor_sentence(count: int, alpha: float, *, fold: int = 1, regions: int = 1) -> str:
    """Why a bound is out of reach, and what is not."""
    least = lowest_alpha(count, fold=fold, regions=regions)
    more = (
        f"at least {parts_needed(alpha, regions=regions)} good parts"
        if fold == 1
        else f"at least {math.ceil(regions / Fraction(repr(float(alpha)))) - 1} folds"
    )
    where = f" in {regions} regions" if regions > 1 else ""
    folds = f" in folds of {fold}" if fold > 1 else ""
    possible = (
        f"state {_round_up(least):g} or more"
        if least < 1
        else "no bound at all is possible with these"
    )
    return (
        f"{count} good parts{folds}{where} cannot promise that at most {alpha:.4g} of good parts "
        f"are rejected: the smallest bound that any method can keep with them is {least:.4g}; "
        f"{possible}, or bring {more}"
    )


def bound(count: int, alpha: float, *, fold: int = 1, regions: int = 1) -> float:
    """Share of good parts that the threshold of `conformal_threshold` rejects at most, ≤ α."""
    share = float(Fraction(repr(float(alpha))) / regions)
    rank = conformal_rank(count, share, fold=fold)
    if rank is None:
        raise InputError(floor_sentence(count, alpha, fold=fold, regions=regions))
    return min(1.0, regions * (1 - rank / (count + fold)))


def spread_of_share(count: int, alpha: float, *, confidence: float = 0.95) -> float:
    """Share that is not exceeded in `confidence` of all split calibrations with n parts.

    Given the calibration, the share of good parts above the k-th smallest of n scores is Beta
    distributed with n + 1 − k and k (Vovk 2012, proposition 2b; exact for continuous scores). The
    bound holds for the mean of this distribution, one calibration can be unlucky.
    """
    rank = conformal_rank(count, alpha)
    if rank is None:
        raise InputError(floor_sentence(count, alpha))
    return float(beta.ppf(confidence, count + 1 - rank, rank))


def check_alpha(alpha: float) -> None:
    """Refuse what is no share.

    Raises:
        InputError: If alpha does not lie between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise InputError(
            f"alpha is the share of good parts that may be lost, between 0 and 1, got {alpha:g}"
        )


def _round_up(share: float) -> float:
    """To three digits, never below: what a user may type."""
    digits = 2 - math.floor(math.log10(share))
    scale = 10.0**digits
    return math.ceil(share * scale - 1e-9) / scale
