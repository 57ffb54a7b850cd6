"""From acceptance to the log, whatever happens to workers, products and the database."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from dense.errors import StoreError
from dense.inspection.deciding import Decider
from dense.service import judging as module
from dense.service.core import Core
from dense.service.errors import BusyError
from dense.service.evidence import decode_evidence
from dense.service.intake import Arrival
from tests.inspection.products import part, scratched
from tests.service.made import LIMITS, add_product, make_core, png


@pytest.fixture
def home(tmp_path: Path) -> Path:
    core = make_core(tmp_path)
    add_product(core)
    core.registry.close()
    return tmp_path


@pytest.fixture
def make(home: Path) -> Iterator[Callable[..., Core]]:
    """Workers on one home; those that began are ended."""
    begun: list[Core] = []

    def build(*, start: bool = True, **changes: object) -> Core:
        core = make_core(home, **changes)
        if start:
            core.start()
            begun.append(core)
        return core

    yield build
    for core in begun:
        core.end()


def arrival(image: np.ndarray, source: str = "part", version: int = 2) -> Arrival:
    return Arrival("nut", version, source, png(image), ".png", "line (1)")


def logged(core: Core, job_id: str, seconds: float = 20.0):  # type: ignore[no-untyped-def]
    """The decision, when it is there."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = [one for one in core.ledger.decisions(limit=1000) if one.decision["id"] == job_id]
        if found:
            assert len(found) == 1
            return found[0]
        time.sleep(0.05)
    raise AssertionError("no decision")


def test_a_picture_becomes_the_judges_own_decision_with_picture_and_maps(
    make: Callable[..., Core],
) -> None:
    core, image = make(), scratched(30)
    job, answer = core.judging.submit(arrival(image), image, wait=True)
    assert answer is not None and answer.result(20) == job.id
    found = logged(core, job.id)
    judge = core.workshop.judge("nut")
    direct = judge.judge(image, "part", job.sha256)
    same = ("verdict", "score", "defects", "regions", "reasons", "id")
    assert {key: found.decision[key] for key in same} == {
        key: value for key, value in direct.to_json().items() if key in same
    }
    assert found.actor == "line (1)" and core.registry.pictures.get(found.picture) == png(image)
    kept = decode_evidence(core.registry.pictures.get(found.evidence))
    assert direct.evidence is not None and direct.evidence.mask is not None
    assert (kept.mask == direct.evidence.mask).all() and kept.words.keys() == {"scratch", "dent"}
    low, high = kept.scale
    back = low + kept.heat / 255 * (high - low)
    wanted = np.clip(direct.evidence.anomaly_map, low, high)
    assert np.abs(back - wanted).max() <= (high - low) / 255 * 0.51
    assert core.intake.find(job.id).state == "done"  # type: ignore[union-attr]


def test_pictures_of_a_worker_that_died_are_judged_by_the_next_once(
    make: Callable[..., Core],
) -> None:
    dead = make(start=False)
    dead.keeper.pulse.beat()
    jobs = [
        dead.judging.intake.accept(arrival(part(40 + n), f"p{n}"), dead.me)[0] for n in range(3)
    ]
    half = dead.judging  # it had judged and logged the first, but not closed its row
    image = part(40)
    decision = Decider(dead.workshop.judge("nut")).judge.judge(image, "p0", jobs[0].sha256)
    half.ledger.record(decision.without_evidence(), actor="line (1)", picture=jobs[0].sha256)
    dead.registry.undo("nut")  # since then the product has changed
    living = make()
    found = [logged(living, job.id) for job in jobs]
    assert [one.decision["version"] for one in found] == [2, 2, 2]
    assert len(living.ledger.decisions(limit=1000)) == 3
    assert [living.intake.find(job.id).attempts for job in jobs] == [2, 2, 2]  # type: ignore[union-attr]


def test_many_workers_judge_everything_once(make: Callable[..., Core]) -> None:
    first, second = make(), make()
    jobs = []
    for number in range(30):
        core = (first, second)[number % 2]
        sent = arrival(part(50 + number % 3), f"p{number}")
        jobs.append(core.judging.submit(sent, None, wait=False)[0])
    for job in jobs:
        logged(first, job.id)
    assert len(first.ledger.decisions(limit=1000)) == 30
    assert first.ledger.verify().ok and first.intake.waiting() == 0


def test_an_end_in_good_order_loses_nothing(make: Callable[..., Core], home: Path) -> None:
    core = make_core(home, drain_seconds=0.0)
    core.start()
    jobs = [core.judging.submit(arrival(part(n), f"p{n}"), None, wait=False)[0] for n in range(12)]
    core.end()
    other = make()
    for job in jobs:
        logged(other, job.id)
    assert len(other.ledger.decisions(limit=1000)) == 12


def test_a_picture_whose_product_is_gone_is_refused_with_the_reason(
    make: Callable[..., Core],
) -> None:
    core = make(start=False)
    job, _ = core.judging.submit(arrival(part(60)), None, wait=False)
    core.registry.delete("nut")
    core.start()
    try:
        found = logged(core, job.id)
    finally:
        core.end()
    (reason,) = found.decision["reasons"]
    assert found.decision["verdict"] == "refused" and "deleted" in reason["text"]


def test_a_picture_that_ends_workers_is_left_out_in_the_end_and_harms_no_other(
    make: Callable[..., Core], home: Path
) -> None:
    dead = make(start=False)
    bad, fine = (dead.intake.accept(arrival(part(n), f"p{n}"), None)[0] for n in (70, 71))
    for _ in range(module.HOPELESS - 1):
        dead.intake.claim("dying", 1)  # the bad one is the oldest
        dead.keeper.pulse._remove(["dying"])
    core = make()
    (reason,) = logged(core, bad.id).decision["reasons"]
    assert f"ended a worker {module.HOPELESS - 1} times" in reason["text"]
    assert logged(core, fine.id).decision["verdict"] == "pass"


def test_what_was_tried_often_is_judged_alone(
    make: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make(start=False)
    groups: list[int] = []
    judge = core.judging._decide
    monkeypatch.setattr(
        core.judging.batcher, "work", lambda group: (groups.append(len(group)), real(group))
    )
    real = core.judging._work
    assert judge is not None
    for number in range(4):
        core.intake.accept(arrival(part(80), f"p{number}"), None)
    for _ in range(module.ALONE - 1):
        core.intake.claim("dying", 1)
        core.keeper.pulse._remove(["dying"])
    core.judging.take_more()
    core.judging.batcher.start()
    core.judging.batcher.end(30)
    assert sorted(groups) == [1, 3]


def test_a_database_that_is_away_is_waited_for(
    make: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core, calls = make(), []
    record = core.ledger.record_many

    def away(judged: object, *, actor: str) -> object:
        calls.append(actor)
        if len(calls) < 3:
            raise StoreError("the registry is in use")
        return record(judged, actor=actor)  # type: ignore[arg-type]

    monkeypatch.setattr(core.ledger, "record_many", away)
    image = part(90)
    _, answer = core.judging.submit(arrival(image), image, wait=True)
    assert answer is not None and answer.result(20)
    assert len(calls) == 3 and len(core.ledger.decisions()) == 1


def test_a_broken_judge_ends_the_worker_and_leaves_its_pictures_to_others(
    make: Callable[..., Core], monkeypatch: pytest.MonkeyPatch
) -> None:
    core, ended = make(start=False), threading.Event()
    core.judging.on_broken = ended.set

    def broken(*_: object) -> None:
        raise RuntimeError("the GPU fell off")

    monkeypatch.setattr(core.judging, "_decide", broken)
    core.judging.batcher.start()
    job, answer = core.judging.submit(arrival(part(91)), None, wait=True)
    assert answer is not None
    with pytest.raises(RuntimeError, match="fell off"):
        answer.result(20)
    assert ended.wait(5) and "fell off" in core.judging.broken
    core.judging.end()
    other = make()
    assert logged(other, job.id).decision["verdict"] == "pass"


def test_a_full_disk_is_refused_before_anything_is_accepted(home: Path) -> None:
    from dataclasses import replace

    core = make_core(home, limits=replace(LIMITS, free_bytes=1 << 60))
    with pytest.raises(BusyError, match="nearly full"):
        core.judging.submit(arrival(part(1)), None, wait=False)
    with sqlite3.connect(home / "registry.sqlite") as database:
        assert database.execute("SELECT count(*) FROM intake").fetchone() == (0,)


def test_without_wait_what_finds_no_room_in_memory_waits_on_disk(
    make: Callable[..., Core],
) -> None:
    from dataclasses import replace

    core = make(start=False, limits=replace(LIMITS, waiting=1))
    core.judging.submit(arrival(part(1), "p1"), None, wait=True)
    with pytest.raises(BusyError) as refused:
        core.judging.submit(arrival(part(2), "p2"), None, wait=True)
    assert refused.value.retry_after is not None and refused.value.retry_after >= 1
    job, answer = core.judging.submit(arrival(part(2), "p2"), None, wait=False)
    assert answer is None and core.intake.claim("another", 5) == [
        found for found in [core.intake.find(job.id)] if found
    ]
