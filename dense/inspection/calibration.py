"""Scores of good parts → thresholds of a product, and the promise in words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.conformal import bound, conformal_threshold, spread_of_share
from dense.inspection.decision import Guarantee
from dense.inspection.team import Maker, Reading, Team, fit_members
from dense.inspection.thresholds import Calibration, Escape
from dense.inspection.view import View
from dense.methods.anomaly.base import Inspector
from dense.metrics.intervals import wilson_interval

Image = NDArray[np.uint8]

NEVER_RAISED_BY_MORE = frozenset({"patch", "anomalydino"})
"""Methods whose maps no further support picture can raise: plain distances to the nearest patch.

For them leave-one-out needs no team. Let R be each of the n parts and the new one scored against
all n others: R is symmetric in the n + 1 parts, so the new one is above the k-th smallest R of the
n with probability at most 1 − k / (n + 1). The leave-one-out scores, against n − 1 others, are not
below R, so the new part's score by the full model is above *their* k-th smallest at most as often.
"""


@dataclass
class Scores:
    """Scores and peaks of parts, by region."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    peaks: dict[str, list[float]] = field(default_factory=dict)

    def add(self, reading: Reading) -> None:
        """Take in a part."""
        for name, score in reading.scores.items():
            self.scores.setdefault(name, []).append(score)
            self.peaks.setdefault(name, []).append(reading.peaks[name])


def folds_of(count: int, folds: int | None) -> list[list[int]]:
    """Equal folds of n parts; those that are left over serve every model and are not scored.

    Args:
        count: n.
        folds: K; ``None`` for n, leave-one-out.

    Raises:
        InputError: If there cannot be so many.
    """
    wanted = count if folds is None else folds
    if not 2 <= wanted <= count:
        raise InputError(
            f"{count} support pictures can be cut into 2 to {count} folds, got {wanted}"
            if count > 1
            else "one support picture cannot be left out: add good pictures, or calibrate with "
            "--good on parts beside it"
        )
    side = count // wanted
    return [list(range(start * side, (start + 1) * side)) for start in range(wanted)]


def out_of_fold(
    maker: Maker, images: Sequence[Image], folds: Sequence[Sequence[int]], view: View
) -> tuple[list[Inspector], Scores]:
    """Fit a model without each fold and score the fold by it.

    Returns:
        The models, and the scores in the order of the folds.
    """
    groups = [[p for p in range(len(images)) if p not in fold] for fold in folds]
    members = fit_members(maker, images, groups, view)
    found = Scores()
    for member, fold in zip(members, folds, strict=True):
        for reading in Team([member], view).read([images[place] for place in fold]):
            found.add(reading)
    return members, found


def make_calibration(
    method: str, alpha: float, found: Scores, *, fold: int = 1, refused: int = 0
) -> Calibration:
    """Thresholds from scores of good parts.

    Raises:
        InputError: If there are too few parts for the bound, see `conformal_threshold`.
    """
    regions = len(found.scores)

    def thresholds(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
        return {
            name: conformal_threshold(row, alpha, fold=fold, regions=regions)
            for name, row in values.items()
        }

    return Calibration(
        method,
        alpha,
        fold,
        {name: tuple(row) for name, row in found.scores.items()},
        {name: tuple(row) for name, row in found.peaks.items()},
        thresholds(found.scores),
        thresholds(found.peaks),
        refused,
    )


def change_alpha(known: Calibration, alpha: float) -> Calibration:
    """The same parts with another bound.

    Raises:
        InputError: If no scores of good parts are known, or too few.
    """
    if known.method == "manual":
        raise InputError(
            "the thresholds were set by hand: to promise a share of good parts, calibrate on good "
            "parts (--good DIR)"
        )
    found = Scores(
        {name: list(row) for name, row in known.scores.items()},
        {name: list(row) for name, row in known.peaks.items()},
    )
    made = make_calibration(known.method, alpha, found, fold=known.fold, refused=known.refused)
    return replace(made, defects=known.defects, distances=known.distances, pictures=known.pictures)


def by_hand(threshold: float, view: View, known: Calibration | None) -> Calibration:
    """One threshold for all regions and pixels, without a promise.

    What is known of good parts stays: it is to be seen, and a promise can be made on it again.
    """
    if not np.isfinite(threshold):
        raise InputError(f"a threshold is a finite number, got {threshold}")
    same = dict.fromkeys(view.names, float(threshold))
    if known is None:
        return Calibration("manual", None, 1, {}, {}, same, same)
    return replace(known, alpha=None, thresholds=same, pixel_thresholds=same)


def with_defects(calibration: Calibration, readings: Iterable[Reading]) -> Calibration:
    """The same with scores of defective examples."""
    found = Scores()
    for reading in readings:
        found.add(reading)
    return replace(calibration, defects={name: tuple(row) for name, row in found.scores.items()})


def guarantee(calibration: Calibration) -> Guarantee | None:
    """What the thresholds promise, in words; ``None`` if they were set by hand."""
    if calibration.alpha is None:
        return None
    alpha, parts, regions = calibration.alpha, calibration.parts, len(calibration.thresholds)
    share = bound(parts, alpha, fold=calibration.fold, regions=regions)
    how = {
        "split": f"split conformal on {parts} good parts that the model had not seen",
        "leave-one-out": f"leave-one-out conformal on {parts} support parts",
        "cross": f"conformal on {parts} support parts in folds of {calibration.fold}, by the "
        "mildest of the folds' models",
    }[calibration.method]
    shared = f"; {regions} regions have an equal part of it each" if regions > 1 else ""
    unlucky = ""
    if calibration.method == "split" and regions == 1:
        worst = spread_of_share(parts, alpha)
        unlucky = f" One calibration can be unlucky: 95 of 100 stay below {worst:.3g}."
    text = (
        f"At most {share:.3g} of good parts are rejected, on average over calibrations ({how}"
        f"{shared}).{unlucky} It holds for parts that come from the same product, camera and light "
        "as those of the calibration; pictures that a quality gate refuses are not counted."
    )
    return Guarantee(alpha, share, calibration.method, parts, text)


def escape(calibration: Calibration) -> Escape | None:
    """How many defective examples pass; ``None`` without examples."""
    if not calibration.defects:
        return None
    rows = np.asarray([calibration.defects[name] for name in calibration.thresholds])
    limits = np.asarray(list(calibration.thresholds.values()))[:, None]
    passed, count = int((rows <= limits).all(0).sum()), rows.shape[1]
    return Escape(passed, count, wilson_interval(passed / count, count))
