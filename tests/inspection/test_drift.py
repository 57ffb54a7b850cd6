"""Drift: p-values and capital by hand, false alarms and power by simulation, the report."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from dense.errors import InputError
from dense.inspection.calibration import Scores, make_calibration
from dense.inspection.decision import Decision, Reason, decision_id
from dense.inspection.drift import drift_report
from dense.inspection.drift.martingale import JUMPS, TOGETHER, log_capital, online_p_values
from dense.inspection.drift.report import run_tests
from dense.inspection.drift.series import Series, calibrated
from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Registry
from dense.inspection.thresholds import Calibration
from tests.inspection.products import record

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def test_p_values_by_hand() -> None:
    """Above, then equal ones (and itself) times the uniform, over all so far."""
    known, values = np.asarray([1.0, 2.0, 3.0]), np.asarray([2.0, 5.0, 5.0, 0.0])
    found = online_p_values(known, values, np.asarray([0.5, 0.25, 0.5, 0.9]))
    expected = [(1 + 0.5 * 2) / 4, (0 + 0.25) / 5, (0 + 0.5 * 2) / 6, (6 + 0.9) / 7]
    np.testing.assert_allclose(found, expected)
    assert online_p_values(known, np.empty(0), np.empty(0)).shape == (0,)


def test_p_values_do_not_depend_on_how_many_are_ranked_at_once() -> None:
    generator = np.random.default_rng(0)
    count = TOGETHER + 300
    values, uniforms = generator.integers(0, 40, count).astype(float), generator.random(count)
    known = generator.integers(0, 40, 50).astype(float)
    found = online_p_values(known, values, uniforms)
    for place in (0, 1, TOGETHER - 1, TOGETHER, count - 1):
        bag = np.concatenate([known, values[: place + 1]])
        above, equal = (bag > values[place]).sum(), (bag == values[place]).sum()
        assert found[place] == (above + uniforms[place] * equal) / len(bag)


def test_capital_by_hand() -> None:
    """The recursion of the paper, without shares and logarithms."""
    p_values = np.random.default_rng(1).random(40) ** 2
    rows = []
    for jump in JUMPS:
        lots, row = {-1: 1 / 3, 0: 1 / 3, 1: 1 / 3}, []
        for p in p_values:
            total = sum(lots.values())
            lots = {e: (1 - jump) * lot + jump / 3 * total for e, lot in lots.items()}
            lots = {e: lot * (1 + e * (p - 0.5)) for e, lot in lots.items()}
            row.append(sum(lots.values()))
        rows.append(row)
    np.testing.assert_allclose(np.exp(log_capital(p_values)), np.mean(rows, axis=0))
    np.testing.assert_allclose(rows[-1], 1)  # laid out anew each time: no bet


def test_no_bet_wins_on_average() -> None:
    """Over p and 1 − p (hence over uniform p, as bets are linear) the capital stays."""
    start = np.asarray([0.01, 0.3, 0.02, 0.9])
    before = np.exp(log_capital(start))[-1]
    for p in (0.0, 0.1, 0.37):
        after = [np.exp(log_capital(np.append(start, end)))[-1] for end in (p, 1 - p)]
        assert np.mean(after) == pytest.approx(before, rel=1e-12)


def test_a_long_loss_leaves_something() -> None:
    """A fifth of the capital is never at stake, and no number overflows."""
    calm = np.random.default_rng(2).random(5000)
    assert log_capital(calm).min() > np.log(1 / 5)
    assert 300 < log_capital(np.zeros(1000))[-1] < 1000 * np.log(1.5)


def made(generator: np.random.Generator, count: int, regions: int = 1) -> Calibration:
    scores = {f"r{k}": generator.normal(size=count).tolist() for k in range(regions)}
    found = Scores(scores, {name: list(row) for name, row in scores.items()})
    known = make_calibration("split", 0.1, found)
    # distances go with scores, as they do for real pictures
    distances = np.asarray(scores["r0"]) + generator.normal(size=count)
    return replace(known, distances=tuple(distances))


def run(
    known: Calibration,
    generator: np.random.Generator,
    count: int,
    *,
    shift: float = 0.0,
    moved: float = 0.0,
    defects: float = 0.0,
    burst: float = 0.0,
) -> Series:
    """A line that from the middle on has other scores, distances or more defects."""
    late = np.arange(count) >= count // 2
    scores = generator.normal(size=(len(known.thresholds), count)) + shift * late
    distance = scores[0] + generator.normal(size=count) + moved * late
    scores += 9 * (generator.random(count) < defects + burst * late)
    limits = np.asarray(list(known.thresholds.values()))[:, None]
    worst = (scores - limits).argmax(0)
    score, limit = scores[worst, np.arange(count)], limits[worst, 0]
    verdict = ["reject" if bad else "pass" for bad in score > limit]
    uniforms = generator.random((count, 3))
    return Series(np.arange(count), [""] * count, verdict, score, limit, distance, uniforms)


def alarms(runs: int, count: int, *, method: str = "split", seed: int = 0, **line: float) -> float:
    """Share of runs with an alarm, each with a calibration of its own, at α = 0.1."""
    found = 0
    for number in range(runs):
        generator = np.random.default_rng([seed, number])
        known = replace(made(generator, 60, 1 + number % 3), method=method)
        tests = run_tests(known, run(known, generator, count, **line), 0.1)
        found += any(test.alarm for test in tests)
    return found / runs


@pytest.mark.parametrize("method", ["split", "leave-one-out", "manual"])
def test_false_alarms_stay_below_alpha(method: str) -> None:
    """Good parts as in the calibration and a steady share of defects, looked at all the time.

    At α = 0.1, 0.1 + 3 standard deviations of 150 runs is 0.17.
    """
    assert alarms(150, 300, method=method, defects=0.1) <= 0.17


@pytest.mark.parametrize(
    ("line", "least"),
    [({"shift": 0.7}, 0.8), ({"moved": 1.5}, 0.9), ({"defects": 0.02, "burst": 0.5}, 0.9)],
)
def test_drift_is_found(line: dict[str, float], least: float) -> None:
    """200 parts after a moderate change are enough."""
    assert alarms(20, 400, seed=5, **line) >= least


def test_a_shift_right_from_the_start_is_found_against_a_split_calibration() -> None:
    def found(method: str) -> float:
        total = 0
        for number in range(10):
            generator = np.random.default_rng(number)
            known = replace(made(generator, 60), method=method)
            line = run(known, generator, 200, moved=2.0)
            late = slice(100, None)
            line = Series(
                line.seq[late],
                line.judged_at[late],
                line.verdict[late],
                line.score[late],
                line.threshold[late],
                line.distance[late],
                line.uniforms[late],
            )
            total += run_tests(known, line, 0.1)[1].alarm
        return total / 10

    assert found("split") >= 0.9
    assert found("leave-one-out") <= 0.2  # nothing changed since the start, and that is all it sees


def test_what_of_a_calibration_is_compared() -> None:
    """Parts below all thresholds; the ones that are thresholds are left out."""
    scores = {"a": (1.0, 2.0, 3.0, 4.0), "b": (8.0, 5.0, 6.0, 7.0)}
    known = Calibration(
        "split", 0.5, 1, scores, scores, {"a": 3.0, "b": 7.5}, {}, 0, {}, (0.1, 0.2, 0.3, 0.4)
    )
    margins, distances = calibrated(known)
    assert margins.tolist() == [-1.0] and distances.tolist() == [0.2]
    assert calibrated(replace(known, distances=()))[1].tolist() == []
    assert [len(part) for part in calibrated(None)] == [0, 0]


def decide(number: int, score: float, distance: float, version: int = 1) -> Decision:
    digest = sha256(f"{number}".encode()).hexdigest()
    bad = score > 0.5
    return Decision(
        decision_id("nut", version, "cam", digest),
        "nut",
        version,
        "cam",
        digest,
        NOON + timedelta(seconds=number),
        "reject" if bad else "pass",
        (Reason("defect", "too high"),) if bad else (),
        score,
        0.5,
        distance=distance,
    )


def test_the_report(tmp_path: Path) -> None:
    """Distances jump after 150 parts; the report says where, what, and what to do."""
    generator = np.random.default_rng(3)
    good = generator.uniform(0, 0.4, 60).tolist()
    scores = {"": [*good, 0.5]}
    known = replace(
        make_calibration("split", 0.05, Scores(scores, scores)),
        thresholds={"": 0.5},
        distances=tuple(generator.uniform(0.1, 0.2, 61)),
    )
    registry = Registry(tmp_path)
    first = registry.create(replace(record(), calibration=known), "created")
    ledger = Ledger(registry.database)
    early = drift_report(first, ledger)
    assert early.advice.startswith("Too early to say: 0 decisions by version 1")
    assert not early.alarm and early.shift == {"score": None, "distance": None}

    def work(numbers: range, low: float) -> None:
        parts = [
            decide(n, generator.uniform(0, 0.4), generator.uniform(low, low + 0.1)) for n in numbers
        ]
        ledger.record_many([(part, None, None) for part in parts])

    work(range(150), 0.1)
    calm = drift_report(first, ledger)
    assert not calm.alarm and calm.advice.startswith("No drift found in 150 decisions by version 1")
    work(range(150, 300), 0.2)
    found = drift_report(first, ledger)
    score, distance, failed = found.tests
    assert (score.alarm, distance.alarm, failed.alarm) == (False, True, False)
    assert 152 < distance.alarm_at < 200  # entry 1 is the product's creation
    assert distance.limit == 300
    assert "Pictures look different as a whole (median distance 0.1" in found.advice
    assert "dense product calibrate nut --alpha SHARE --good DIR" in found.advice
    assert "60 good parts of the calibration" in distance.text
    shift = found.shift["distance"]
    assert shift is not None and shift.ks == 1 and shift.p < 1e-20
    assert drift_report(first, ledger) == found  # ties are broken by hashes: always the same
    plain = found.to_json()
    assert plain["alarm"] is True
    assert plain["calibration"]["score_quantiles"]["0.5"] == pytest.approx(np.median(good))
    assert len(plain["series"]["score"]) == 300 and plain["series"]["verdict"][0] == "pass"
    assert max(y for _, y in plain["tests"][1]["curve"]) == distance.highest

    again = registry.save(first, replace(record(), calibration=known), "calibrated")
    assert drift_report(again, ledger).decisions == 0  # a new version starts anew
    with pytest.raises(InputError, match="alpha is the rate of false alarms"):
        drift_report(first, ledger, alpha=1.0)
