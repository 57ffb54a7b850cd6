"""What is watched: decisions of one version in their order, and the calibration's good parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from dense.inspection.store.database import Database
from dense.inspection.store.tables import decisions, log
from dense.inspection.thresholds import Calibration

Values = NDArray[np.float64]
_LETTERS = 13
"""Hexadecimal letters of a hash that make a uniform number: 52 bits, what a double holds."""
TESTS = ("score", "distance", "not-passed")
"""What is tested; the order says which letters of a hash break a test's ties."""


@dataclass(frozen=True)
class Series:
    """Decisions in the order of the log.

    Attributes:
        seq: (T,) numbers of their entries.
        judged_at: ISO 8601, UTC.
        verdict: See `Decision`.
        score: (T,), NaN where there is none.
        threshold: (T,), NaN where there is none.
        distance: (T,), NaN where there is none.
        uniforms: (T, 3) in [0, 1), a column for each of `TESTS`: taken from the hashes of the
            entries, so that everybody finds the same.
    """

    seq: NDArray[np.int64]
    judged_at: list[str]
    verdict: list[str]
    score: Values
    threshold: Values
    distance: Values
    uniforms: Values

    @property
    def passed(self) -> NDArray[np.bool_]:
        """(T,) whether each passed, strictly below the threshold."""
        good = np.asarray([verdict == "pass" for verdict in self.verdict], bool)
        return good & (self.score < self.threshold)

    @property
    def tested(self) -> tuple[tuple[Values, NDArray[np.bool_]], ...]:
        """For each of `TESTS` its (T,) values, and (T,) which of them it looks at."""
        passed, every = self.passed, np.ones(len(self.seq), bool)
        failed = np.asarray([verdict != "pass" for verdict in self.verdict], float)
        return (
            (self.score - self.threshold, passed),
            (self.distance, passed & np.isfinite(self.distance)),
            (failed, every),
        )


def read_series(
    database: Database, product: str, version: int, *, after: int = 0, most: int | None = None
) -> Series:
    """Decisions of a version.

    Args:
        database: Of the registry.
        product: Name.
        version: That decided.
        after: Only those of later log entries.
        most: Only the first so many of them.
    """
    table = decisions.c
    wanted = (
        select(
            table.seq,
            table.judged_at,
            table.verdict,
            table.score,
            table.threshold,
            table.distance,
            log.c.hash,
        )
        .join(log, log.c.seq == table.seq)
        .where(table.product == product, table.version == version, table.seq > after)
        .order_by(table.seq)
        .limit(most)
    )
    with database.read() as connection:
        rows = connection.execute(wanted).all()
    columns = list(zip(*rows, strict=True)) if rows else [()] * 7
    score, threshold, distance = (
        np.asarray([np.nan if v is None else v for v in column], float) for column in columns[3:6]
    )
    uniforms = np.asarray([_uniforms(name) for name in columns[6]]).reshape(-1, len(TESTS))
    return Series(
        np.asarray(columns[0], np.int64),
        list(columns[1]),
        list(columns[2]),
        score,
        threshold,
        distance,
        uniforms,
    )


def _uniforms(name: str) -> list[float]:
    parts = (name[k * _LETTERS : (k + 1) * _LETTERS] for k in range(len(TESTS)))
    return [int(part, 16) / 16**_LETTERS for part in parts]


def calibrated(known: Calibration | None) -> tuple[Values, Values]:
    """Margins (score − threshold) and distances of the good parts of a calibration that pass.

    A part in several regions has the margin of its worst. Parts at a threshold are left out: a
    threshold is the score of one of them. Given the thresholds, those below are distributed as
    good parts to come that pass, so both may be compared.

    Returns:
        (m,) margins, and (m,) distances or none if they are not known.
    """
    if known is None or not known.scores:
        return np.empty(0), np.empty(0)
    rows = [np.asarray(known.scores[name]) - known.thresholds[name] for name in known.thresholds]
    margins = np.max(rows, axis=0)
    below, distances = margins < 0, np.asarray(known.distances, float)
    return margins[below], distances[below] if len(distances) == len(margins) else np.empty(0)


def starts(known: Calibration | None) -> tuple[Values, ...]:
    """For each of `TESTS` the values that it begins with.

    Those of another calibration than a split one were scored by other models than decide; how many
    defects are normal is not known from good parts.
    """
    nothing = np.empty(0)
    if known is None or known.method != "split":
        return nothing, nothing, nothing
    return (*calibrated(known), nothing)
