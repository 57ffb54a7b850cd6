"""Alarms of drift are entries of the log: once, where the report finds them, sealed as others."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dense.cli.main import main
from dense.inspection.calibration import Scores, make_calibration
from dense.inspection.drift import Watch, drift_report, watch
from dense.inspection.drift.martingale import Run, log_capital, online_p_values
from dense.inspection.ledger import Entry, Ledger
from dense.inspection.store.registry import Registry
from tests.inspection.products import record
from tests.inspection.test_drift import decide


@pytest.fixture
def drifted(tmp_path: Path) -> Registry:
    """150 parts as in the calibration, then 150 whose pictures look different."""
    generator = np.random.default_rng(3)
    scores = {"": [*generator.uniform(0, 0.4, 60), 0.5]}
    known = replace(
        make_calibration("split", 0.05, Scores(scores, scores)),
        thresholds={"": 0.5},
        distances=tuple(generator.uniform(0.1, 0.2, 61)),
    )
    registry = Registry(tmp_path)
    registry.create(replace(record(), calibration=known), "created")
    low = np.repeat([0.1, 0.2], 150)
    parts = [
        decide(number, generator.uniform(0, 0.4), generator.uniform(low[number], low[number] + 0.1))
        for number in range(300)
    ]
    Ledger(registry.database).record_many([(part, None, None) for part in parts])
    return registry


def alarms(registry: Registry) -> list[Entry]:
    return [one for one in Ledger(registry.database).entries(limit=1000) if one.kind == "drift"]


def test_a_run_that_goes_on_is_the_run_at_once() -> None:
    generator = np.random.default_rng(0)
    known, values, uniforms = generator.random(20), generator.random(90), generator.random(90)
    whole = log_capital(online_p_values(known, values, uniforms))
    run = Run(known)
    parts = [run.take(values[a:b], uniforms[a:b]) for a, b in ((0, 1), (1, 50), (50, 50), (50, 90))]
    assert np.concatenate(parts).tolist() == whole.tolist()


def test_an_alarm_is_logged_once_where_the_report_finds_it(
    drifted: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "AT_ONCE", 37)  # caught up with in several looks
    ledger = Ledger(drifted.database)
    _, distance, _ = drift_report(drifted.get("nut"), ledger).tests
    first, second = Watch(drifted, ledger), Watch(drifted, ledger)  # two workers
    for _ in range(10):
        first.look(), second.look()
    (entry,) = alarms(drifted)
    assert entry.content == {
        "what": "alarm",
        "version": 1,
        "test": "distance",
        "alpha": 0.01,
        "entry": distance.alarm_at,
        "limit": 300.0,
        "text": f"Evidence for drift reached 300 at entry {distance.alarm_at}. {distance.text}",
    }
    assert (entry.product, entry.seq) == ("nut", 302) and ledger.verify().ok
    seen = drifted.get("nut")
    drifted.save(seen, seen.product, "calibrated")
    assert first.look() == []  # a new version starts anew


def test_an_alarm_that_cannot_be_logged_is_logged_later(
    drifted: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(drifted.database)
    looks = Watch(drifted, ledger)
    with monkeypatch.context() as away:
        away.setattr(ledger, "append", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            looks.look()
    assert [entry.content["test"] for entry in looks.look()] == ["distance"]


def test_the_command_logs_alarms_at_the_stated_rate_alone(drifted: Registry) -> None:
    home = ["--home", str(drifted.home)]
    assert main(["product", "drift", "nut", "--alpha", "0.2", *home]) == 0
    assert alarms(drifted) == []
    assert main(["product", "drift", "nut", *home]) == main(["product", "drift", "nut", *home]) == 0
    assert [entry.actor[:6] for entry in alarms(drifted)] == ["local:"]


def test_a_forged_alarm_is_found(drifted: Registry) -> None:
    (entry,) = Watch(drifted, Ledger(drifted.database)).look()
    drifted.close()
    forged = entry.body.replace('"distance"', '"score"')
    with sqlite3.connect(drifted.home / "registry.sqlite") as connection:
        connection.execute("DROP TRIGGER log_UPDATE")  # as an attacker would
        connection.execute("UPDATE log SET body = ? WHERE seq = ?", (forged, entry.seq))
    connection.close()
    found = Ledger(Registry(drifted.home).database).verify()
    assert (found.ok, found.broken_at) == (False, entry.seq) and forged != entry.body
