"""Whether a product has drifted since its calibration, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import ks_2samp

from dense.errors import InputError
from dense.inspection.drift.martingale import Run, Values
from dense.inspection.drift.series import TESTS, Series, calibrated, read_series, starts
from dense.inspection.drift.words import FEWEST, advise, describe
from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Record
from dense.inspection.thresholds import Calibration

ALPHA = 0.01
"""Share of calibrations in which there is ever a false alarm, at most."""
RECENT = 100
"""Decisions that count as now."""
SHOWN = 300
"""Points of curves and series."""
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LARGEST = 600.0
"""Natural logarithm of the largest evidence that is told."""


@dataclass(frozen=True)
class DriftTest:
    """One of the tests.

    Attributes:
        name: One of `TESTS`.
        text: What is compared with what.
        limit: Alarm when the evidence reaches it: number of tests / α.
        evidence: Now, 1 for none.
        highest: Ever since the version was made.
        alarm_at: Number of the log entry at which it reached the limit, ``None`` if it never did.
        curve: (seq, evidence) at some of the decisions.
        then: Median (or share) at the beginning, ``None`` where too little is known.
        now: The same of the latest decisions.
    """

    name: str
    text: str
    limit: float
    evidence: float = 1.0
    highest: float = 1.0
    alarm_at: int | None = None
    curve: tuple[tuple[int, float], ...] = ()
    then: float | None = None
    now: float | None = None

    @property
    def alarm(self) -> bool:
        """Whether it ever reached its limit."""
        return self.alarm_at is not None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "name": self.name,
            "text": self.text,
            "limit": self.limit,
            "evidence": self.evidence,
            "highest": self.highest,
            "alarm": self.alarm,
            "alarm_at": self.alarm_at,
            "curve": [list(point) for point in self.curve],
            "then": self.then,
            "now": self.now,
        }


@dataclass(frozen=True)
class Shift:
    """Latest passed parts against the calibration's; it describes, alarms come from the tests.

    Attributes:
        ks: Kolmogorov-Smirnov distance of the two distributions, in [0, 1].
        p: Its p-value if one looked once.
        median_then: Of the calibration.
        median_now: Of the latest parts.
    """

    ks: float
    p: float
    median_then: float
    median_now: float

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "ks": self.ks,
            "p": self.p,
            "median_then": self.median_then,
            "median_now": self.median_now,
        }


@dataclass(frozen=True)
class DriftReport:
    """What is known of drift.

    Attributes:
        product: Name.
        version: Of the product.
        alpha: False-alarm rate over the whole life of the version, all tests together.
        decisions: That were looked at.
        tests: One for each of `TESTS`.
        advice: What to do, in words.
        series: The latest decisions, for a plot.
        calibration: Threshold and quantiles of the calibration's good parts.
        shift: By ``"score"`` and ``"distance"``, ``None`` where too little is known.
    """

    product: str
    version: int
    alpha: float
    decisions: int
    tests: tuple[DriftTest, ...]
    advice: str
    series: Mapping[str, list[object]] = field(default_factory=dict)
    calibration: Mapping[str, object] = field(default_factory=dict)
    shift: Mapping[str, Shift | None] = field(default_factory=dict)

    @property
    def alarm(self) -> bool:
        """Whether any test found drift."""
        return any(test.alarm for test in self.tests)

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "product": self.product,
            "version": self.version,
            "alpha": self.alpha,
            "decisions": self.decisions,
            "enough": self.decisions >= FEWEST,
            "alarm": self.alarm,
            "advice": self.advice,
            "tests": [test.to_json() for test in self.tests],
            "series": dict(self.series),
            "calibration": dict(self.calibration),
            "shift": {
                name: None if one is None else one.to_json() for name, one in self.shift.items()
            },
        }


def drift_report(record: Record, ledger: Ledger, *, alpha: float = ALPHA) -> DriftReport:
    """Test the decisions of a product's version.

    Three tests share α (Bonferroni), each valid at any time (see `martingale`): the scores and the
    embedding distances of passed parts, and the share of parts that do not pass. Scores and
    distances are compared with the good parts of a split calibration and all earlier parts; after
    another calibration, whose parts were scored by other models than decide, with earlier parts
    alone. Parts that do not pass are compared with earlier ones: how many defects are normal is
    not known from good parts.

    Args:
        record: The version.
        ledger: With its decisions.
        alpha: See `DriftReport`.

    Raises:
        InputError: If alpha is no share.
    """
    if not 0 < alpha < 1:
        raise InputError(f"alpha is the rate of false alarms, between 0 and 1, got {alpha:g}")
    name, known = record.product.name, record.product.calibration
    series = read_series(ledger.database, name, record.version)
    tests = run_tests(known, series, alpha)
    margins, distances = calibrated(known)
    passed = series.passed
    return DriftReport(
        name,
        record.version,
        alpha,
        len(series.seq),
        tests,
        advise(name, record.version, len(series.seq), tests),
        _shown(series),
        _levels(known, margins, distances),
        {
            "score": _shift(margins, (series.score - series.threshold)[passed]),
            "distance": _shift(distances, series.distance[passed]),
        },
    )


def run_tests(known: Calibration | None, series: Series, alpha: float) -> tuple[DriftTest, ...]:
    """The tests of `drift_report` on a series."""
    return tuple(
        _test(test, start, values[chosen], series.uniforms[chosen, column], series.seq[chosen])
        for column, (test, start, (values, chosen)) in enumerate(
            zip(blank_tests(known, alpha), starts(known), series.tested, strict=True)
        )
    )


def blank_tests(known: Calibration | None, alpha: float) -> tuple[DriftTest, ...]:
    """The tests before the first decision."""
    split = known is not None and known.method == "split"
    return tuple(
        DriftTest(name, describe(name, len(start), split), len(TESTS) / alpha)
        for name, start in zip(TESTS, starts(known), strict=True)
    )


def _test(
    test: DriftTest, start: Values, values: Values, uniforms: Values, seq: np.ndarray
) -> DriftTest:
    if not len(values):
        return test
    logs = Run(start).take(values, uniforms)
    reached = np.flatnonzero(logs >= np.log(test.limit))
    evidence = np.exp(np.minimum(logs, _LARGEST))
    places = np.unique(np.linspace(0, len(logs) - 1, SHOWN).round().astype(int))
    centre = np.mean if test.name == "not-passed" else np.median
    earlier = start if len(start) else values[: max(1, min(RECENT, len(values) // 2))]
    return DriftTest(
        test.name,
        test.text,
        test.limit,
        float(evidence[-1]),
        float(evidence.max()),
        int(seq[reached[0]]) if len(reached) else None,
        tuple((int(seq[place]), float(evidence[place])) for place in places),
        float(centre(earlier)),
        float(centre(values[-min(RECENT, max(1, len(values) // 2)) :])),
    )


def _shift(then: Values, values: Values) -> Shift | None:
    now = values[np.isfinite(values)][-RECENT:]
    if len(then) < 2 or len(now) < 2:
        return None
    found = ks_2samp(then, now)
    medians = float(np.median(then)), float(np.median(now))
    return Shift(float(found.statistic), float(found.pvalue), *medians)


def _shown(series: Series) -> dict[str, list[object]]:
    def plain(values: Values) -> list[object]:
        return [float(value) if np.isfinite(value) else None for value in values[-SHOWN:]]

    return {
        "seq": [int(seq) for seq in series.seq[-SHOWN:]],
        "judged_at": list(series.judged_at[-SHOWN:]),
        "score": plain(series.score),
        "distance": plain(series.distance),
        "verdict": list(series.verdict[-SHOWN:]),
    }


def _levels(known: Calibration | None, margins: Values, distances: Values) -> dict[str, object]:
    """Threshold (of a product with one region) and quantiles, scores as they are shown."""
    threshold = None
    if known is not None and len(known.thresholds) == 1:
        (threshold,) = known.thresholds.values()

    def quantiles(values: Values, add: float) -> dict[str, float]:
        if not len(values):
            return {}
        return {str(q): float(np.quantile(values, q) + add) for q in QUANTILES}

    return {
        "threshold": threshold,
        "score_quantiles": {} if threshold is None else quantiles(margins, threshold),
        "distance_quantiles": quantiles(distances, 0.0),
    }
