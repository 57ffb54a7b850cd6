"""Drift is looked for as decisions are made; an alarm becomes an entry of the log, once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dense.inspection.drift.martingale import Run
from dense.inspection.drift.report import ALPHA, DriftReport, DriftTest, blank_tests
from dense.inspection.drift.series import read_series, starts
from dense.inspection.ledger import Entry, Ledger
from dense.inspection.store.database import Database
from dense.inspection.store.registry import Record, Registry

AT_ONCE = 2000
"""Decisions that are caught up with in one look."""


class Watch:
    """Watches all products of a registry, each by the version in use.

    What it has seen is kept, so a look costs as much as there is new. Several workers may watch:
    the tests take their chances from the log's hashes, so all find the same alarms.

    Args:
        registry: With the products.
        ledger: Its log.
    """

    def __init__(self, registry: Registry, ledger: Ledger) -> None:
        self.registry, self.ledger = registry, ledger
        self._watched: dict[tuple[str, int], _Watched] = {}

    def look(self) -> list[Entry]:
        """Go on by at most `AT_ONCE` decisions; returns the entries of alarms."""
        left, watched, alarms = AT_ONCE, dict[tuple[str, int], _Watched](), list[Entry]()
        for name in self.registry.names():
            version, _ = self.registry.stamp(name)
            one = self._watched.get((name, version)) or _Watched(self.registry.get(name, version))
            watched[name, version] = one
            left -= one.take(self.ledger.database, left)
            alarms += log_alarms(self.ledger, name, version, ALPHA, one.found)
            one.found.clear()
        self._watched = watched
        return alarms


class _Watched:
    """How far the tests of a version are.

    Attributes:
        found: Tests that have reached their limits since, and the entries at which they did.
    """

    def __init__(self, record: Record) -> None:
        known = record.product.calibration
        self.name, self.version, self.last = record.product.name, record.version, 0
        self.found: list[tuple[DriftTest, int]] = []
        self._alarmed: set[str] = set()
        self._tests = blank_tests(known, ALPHA)
        self._runs = [Run(start) for start in starts(known)]

    def take(self, database: Database, most: int) -> int:
        """Go on by at most so many decisions; returns how many there were."""
        series = read_series(database, self.name, self.version, after=self.last, most=most)
        if not len(series.seq):
            return 0
        for column, (test, (values, chosen)) in enumerate(
            zip(self._tests, series.tested, strict=True)
        ):
            logs = self._runs[column].take(values[chosen], series.uniforms[chosen, column])
            reached = np.flatnonzero(logs >= np.log(test.limit))
            if len(reached) and test.name not in self._alarmed:
                self._alarmed.add(test.name)
                self.found.append((test, int(series.seq[chosen][reached[0]])))
        self.last = int(series.seq[-1])
        return len(series.seq)


def log_report(ledger: Ledger, report: DriftReport) -> list[Entry]:
    """Log the alarms of a report, each once."""
    found = [(test, test.alarm_at) for test in report.tests if test.alarm_at is not None]
    return log_alarms(ledger, report.product, report.version, report.alpha, found)


def log_alarms(
    ledger: Ledger, product: str, version: int, alpha: float, found: Sequence[tuple[DriftTest, int]]
) -> list[Entry]:
    """Log that tests reached their limits, each once in a version's life.

    Args:
        ledger: The log.
        product: Name.
        version: That decided.
        alpha: Rate of false alarms.
        found: Tests, and the entries at which they did.
    """
    return [
        ledger.append(
            "drift",
            product,
            {
                "what": "alarm",
                "version": version,
                "test": test.name,
                "alpha": alpha,
                "entry": at,
                "limit": test.limit,
                "text": f"Evidence for drift reached {test.limit:g} at entry {at}. {test.text}",
            },
            once=("what", "version", "test", "alpha"),
        )
        for test, at in found
    ]
