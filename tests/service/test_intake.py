"""What is accepted is on disk and is judged by somebody, once."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from dense.errors import InputError
from dense.inspection.decision import decision_id
from dense.inspection.store.registry import Registry
from dense.service.errors import BusyError, ConflictError
from dense.service.intake import Arrival, Intake, Pulse

ARRIVAL = Arrival("nut", 3, "part-1", b"picture", ".png", "line (1)")


@pytest.fixture
def intake(registry: Registry) -> Intake:
    return Intake(registry.database, registry.pictures, backlog=3)


def arrival(number: int) -> Arrival:
    return replace(ARRIVAL, source=f"part-{number}")


def test_an_accepted_picture_is_a_row_with_the_decisions_id_and_a_file(
    intake: Intake, registry: Registry
) -> None:
    job, new = intake.accept(ARRIVAL, "me")
    sha256 = hashlib.sha256(b"picture").hexdigest()
    assert new and job.id == decision_id("nut", 3, "part-1", sha256)
    assert (job.state, job.attempts, intake.waiting()) == ("waiting", 1, 1)
    assert registry.pictures.get(job.sha256) == b"picture"
    assert intake.find(job.id) == job and intake.find("0" * 32) is None


def test_the_same_picture_of_the_same_source_is_one_job(intake: Intake) -> None:
    first, _ = intake.accept(ARRIVAL, "me")
    assert intake.accept(ARRIVAL, "other") == (first, False)
    assert intake.accept(replace(ARRIVAL, version=4), None)[1]  # another version: another decision


def test_an_idempotency_key_recognises_its_request_and_no_other(intake: Intake) -> None:
    first, _ = intake.accept(replace(ARRIVAL, again="k1"), None)
    later = replace(ARRIVAL, again="k1", source="part-2", version=9)  # changed since, sent again
    assert intake.accept(later, None) == (first, False)
    with pytest.raises(ConflictError, match="another picture"):
        intake.accept(replace(ARRIVAL, again="k1", data=b"other"), None)
    others = replace(ARRIVAL, again="k1", actor="somebody else", source="part-3")
    assert intake.accept(others, None)[1]
    with pytest.raises(InputError, match="255"):
        intake.accept(replace(ARRIVAL, again="x" * 256), None)


def test_too_long_a_backlog_is_refused_and_room_returns(intake: Intake) -> None:
    jobs = [intake.accept(arrival(number), None)[0] for number in range(3)]
    with pytest.raises(BusyError, match="3 accepted pictures"):
        intake.accept(arrival(4), None)
    intake.finish([jobs[0].id])
    assert intake.accept(arrival(4), None)[1]


def test_rows_are_claimed_once_oldest_first_and_given_back(intake: Intake) -> None:
    ids = [intake.accept(arrival(number), None)[0].id for number in range(3)]
    taken = intake.claim("one", 2)
    assert [job.id for job in taken] == ids[:2] and all(job.attempts == 1 for job in taken)
    assert [job.id for job in intake.claim("two", 9)] == ids[2:]
    assert intake.claim("two", 9) == [] and intake.claim("two", 0) == []
    intake.finish([ids[1]])
    intake.release("one")
    (again,) = intake.claim("three", 9)
    assert (again.id, again.attempts) == (ids[0], 1)  # given back in good order: no failed attempt


def test_rows_of_a_dead_worker_go_back_and_of_a_living_one_do_not(
    intake: Intake, registry: Registry
) -> None:
    dead, living, me = (Pulse(registry.database, name, patience=5.0) for name in ("d", "l", "me"))
    for pulse in (dead, living, me):
        pulse.beat()
    intake.accept(arrival(1), "d")
    intake.accept(arrival(2), "l")
    assert me.bury(now=100.0) == 0  # seen for the first time
    living.beat()
    assert me.bury(now=104.9) == 0
    assert me.bury(now=105.0) == 1  # "d" has not moved for 5 seconds, "l" has
    (lost,) = intake.claim("me", 9)
    assert (lost.source, lost.attempts) == ("part-1", 2)
    assert me.bury(now=200.0) == 1  # now "l" is dead, too; never this worker itself
    assert [job.source for job in intake.claim("me", 9)] == ["part-2"]


def test_rows_of_a_worker_without_a_heart_are_found_too(intake: Intake, registry: Registry) -> None:
    intake.accept(arrival(1), "never beat")
    me = Pulse(registry.database, "me", patience=5.0)
    assert (me.bury(now=0.0), me.bury(now=5.0)) == (0, 1)


def test_leaving_frees_what_is_left(intake: Intake, registry: Registry) -> None:
    pulse = Pulse(registry.database, "me")
    pulse.beat()
    intake.accept(arrival(1), "me")
    pulse.leave()
    assert len(intake.claim("other", 9)) == 1


def test_finished_rows_are_forgotten_when_old_waiting_ones_never(intake: Intake) -> None:
    done, waiting = (intake.accept(arrival(number), None)[0] for number in range(2))
    intake.finish([done.id])
    assert intake.prune(older=60.0) == 0
    assert intake.prune(older=-1.0) == 1
    assert intake.find(done.id) is None and intake.find(waiting.id) is not None
    assert intake.used() == {waiting.sha256}
