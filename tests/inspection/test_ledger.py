"""The log: written once by many, asked, verified; what was tampered with is found and located."""

from __future__ import annotations

import gc
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import text

from dense.errors import InputError, UnknownNameError
from dense.inspection.decision import Decision, Reason, decision_id
from dense.inspection.ledger import Entry, Head, Ledger, acting_as, verify
from dense.inspection.ledger.chain import find_break, follow
from dense.inspection.ledger.files import export_lines, read_head, verify_file
from dense.inspection.store.registry import Registry
from tests.inspection.products import record

NOON = datetime(2026, 1, 31, 12, tzinfo=timezone.utc)


def decision(
    number: int, verdict: str = "pass", product: str = "nut", source: str = ""
) -> Decision:
    digest = sha256(str(number).encode()).hexdigest()
    source = source or f"cam/{number}.png"
    why = () if verdict == "pass" else (Reason("defect", f"score 0.{number} is too high"),)
    return Decision(
        decision_id(product, 1, source, digest),
        product,
        1,
        source,
        digest,
        NOON + timedelta(minutes=number),
        verdict,  # type: ignore[arg-type]
        why,
        number / 7,
        0.5,
    )


@pytest.fixture
def ledger(registry: Registry) -> Ledger:
    return Ledger(registry.database)


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """An SQLite registry whose log has decisions 1 to 20, feedback 21 to 23 and a key 24."""
    registry = Registry(tmp_path / "home")
    ledger = Ledger(registry.database)
    judged = [decision(number, "reject" if number % 5 == 0 else "pass") for number in range(20)]
    ledger.record_many([(one, "a" * 64, None) for one in judged], actor="line 1")
    ledger.give_feedback(judged[5].id, "false-alarm", "dust", "ann")
    ledger.give_feedback(judged[5].id, "right", "no, a crack", "bob")
    ledger.undo_feedback(judged[5].id, "bob")
    ledger.append("key", "", {"what": "made"}, "ann")
    registry.close()
    with sqlite3.connect(tmp_path / "home/registry.sqlite") as connection:
        connection.execute("DROP TRIGGER log_UPDATE")  # as an attacker would
        connection.execute("DROP TRIGGER log_DELETE")
    connection.close()
    return tmp_path / "home"


def tamper(home: Path, *statements: str) -> None:
    connection = sqlite3.connect(home / "registry.sqlite")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def found(home: Path, head: Head | None = None) -> tuple[bool, int | None, str]:
    registry = Registry(home)
    result = Ledger(registry.database).verify(head)
    registry.close()
    return result.ok, result.broken_at, result.why


def test_hashes_by_hand(ledger: Ledger) -> None:
    """What docs/operations.md tells an auditor to compute, on both databases."""
    ledger.append("key", "", {"what": "made", "größe": 0.1}, "Jörg")
    ledger.append("drift", "nut", {"alarm": True})
    first, second = ledger.entries()
    assert first.body == '{"gr\\u00f6\\u00dfe":0.1,"what":"made"}'
    parts = ("actor", "body", "kind", "made_at", "previous_hash", "product", "seq")
    row = {name: getattr(first, name) for name in parts}
    canonical = json.dumps(row, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert first.previous_hash == "0" * 64
    assert first.hash == sha256(canonical.encode()).hexdigest()
    assert second.previous_hash == first.hash
    assert (second.seq, ledger.head()) == (2, Head(2, second.hash))


def test_a_decision_is_logged_once(ledger: Ledger) -> None:
    one, two = decision(1), decision(2, "reject")
    first = ledger.record(one, actor="line", picture="a" * 64)
    both = ledger.record_many([(one, None, None), (two, None, "b" * 64), (two, None, None)])
    assert both.pop() == both[1]
    assert both[0] == first
    assert [entry.seq for entry in ledger.entries()] == [1, 2]
    logged = ledger.decision(one.id)
    assert logged.decision == one.to_json()
    assert (logged.picture, logged.evidence, logged.actor) == ("a" * 64, None, "line")
    flat = ledger.decision(two.id).to_json()
    assert flat == {
        **two.to_json(),
        "seq": 2,
        "hash": both[1].hash,
        "actor": both[1].actor,
        "picture": None,
        "evidence": "b" * 64,
        "feedback": None,
    }
    with pytest.raises(UnknownNameError, match="no decision 'x"):
        ledger.decision("x")


def test_filters_and_pages(ledger: Ledger) -> None:
    judged = [decision(number, "reject" if number % 2 else "pass") for number in range(6)]
    odd = decision(9, product="bolt", source="100%_ü.png")
    ledger.record_many([(one, None, None) for one in [*judged, odd]])
    ledger.give_feedback(judged[1].id, "false-alarm", "Dust on it")

    def sources(**filters: object) -> list[int]:
        return [logged.seq for logged in ledger.decisions(**filters)]  # type: ignore[arg-type]

    assert sources() == [7, 6, 5, 4, 3, 2, 1]
    assert sources(limit=2, before=5) == [4, 3]
    assert sources(product="nut", verdict="reject") == [6, 4, 2]
    assert sources(since="2026-01-31T13:04:00+01:00", until="2026-01-31T12:05Z") == [5]
    assert sources(source="cam/3.png") == [4]
    assert sources(text="0%_Ü") == [7]
    assert sources(text="%2") == []  # no wildcard
    assert sources(text="SCORE 0.3") == [4]
    assert sources(text="dust") == [2]
    assert sources(text=judged[2].id[:9]) == [3]
    assert sources(feedback="false-alarm") == sources(feedback="any") == [2]
    assert sources(feedback="none", verdict="reject") == [6, 4]
    assert ledger.counts("nut") == {"pass": 3, "reject": 3, "refused": 0}
    assert ledger.counts("nut", 2) == {"pass": 0, "reject": 0, "refused": 0}
    assert (ledger.last_version("nut"), ledger.last_version("screw")) == (1, 0)
    assert ledger.latest("nut") == "2026-01-31T12:05:00.000000+00:00"
    assert ledger.latest("screw") is None
    with pytest.raises(InputError, match="verdict is one of pass, reject, refused, got 'good'"):
        sources(verdict="good")
    with pytest.raises(InputError, match="feedback is one of right, "):
        sources(feedback="wrong")
    with pytest.raises(InputError, match=r"a time is given as 2026-01-31 or .* got 'noon'"):
        sources(since="noon")
    with pytest.raises(InputError, match="between 1 and 1000 can be read at once, got 0"):
        sources(limit=0)


def test_feedback(ledger: Ledger) -> None:
    good, bad = decision(1), decision(2, "reject")
    ledger.record_many([(good, None, None), (bad, None, None)])
    first = ledger.give_feedback(bad.id, "false-alarm", "a\x00b", "ann")
    assert ledger.give_feedback(bad.id, "false-alarm", "a\x00b", "bob") == first
    ledger.give_feedback(bad.id, "right", "", "bob", use="calibration")
    (said,) = ledger.feedback("nut")
    assert (said.kind, said.actor, said.use, said.seq) == ("right", "bob", "calibration", 4)
    assert ledger.decision(bad.id).feedback == said
    ledger.undo_feedback(bad.id)
    assert ledger.feedback("nut") == [] and ledger.decision(bad.id).feedback is None
    assert [entry.kind for entry in ledger.entries(after=2)] == [
        "feedback",
        "feedback",
        "feedback-undone",
    ]
    assert ledger.entries(after=2)[0].content["note"] == "a b"
    assert ledger.verify().ok
    with pytest.raises(InputError, match="there is nothing to undo"):
        ledger.undo_feedback(bad.id)
    with pytest.raises(InputError, match="this one passed"):
        ledger.give_feedback(good.id, "false-alarm")
    with pytest.raises(InputError, match="this one did not"):
        ledger.give_feedback(bad.id, "missed")
    with pytest.raises(InputError, match="feedback is one of"):
        ledger.give_feedback(bad.id, "great")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="kind of a log entry is one of product, key"):
        ledger.append("decision", "nut", {})


def test_who_changed_a_product(registry: Registry) -> None:
    with acting_as("engineer ann"):
        first = registry.create(record(), "created")
        registry.save(first, record(), "again")
    registry.undo("nut")
    registry.delete("nut")
    entries = Ledger(registry.database).entries()
    told = [(one.content["what"], one.content["version"], one.product) for one in entries]
    assert told == [
        ("created", 1, "nut"),
        ("changed", 2, "nut"),
        ("undone", 1, "nut"),
        ("deleted", 1, "nut"),
    ]
    assert [one.actor == "engineer ann" for one in entries] == [True, True, False, False]
    with pytest.raises(InputError, match="no product"):
        registry.delete("nut")
    assert Ledger(registry.database).head().seq == 4  # what was refused left nothing behind


def test_the_database_refuses_changes(ledger: Ledger) -> None:
    ledger.append("key", "", {})
    for statement in ("UPDATE log SET actor = 'eve'", "DELETE FROM log"):
        refused = pytest.raises(InputError, match="the log only grows")
        with refused, ledger.database.write() as connection:
            connection.execute(text(statement))
    assert ledger.verify().entries == 1


def test_threads_append_at_once(ledger: Ledger) -> None:
    """Eight threads with the same decisions and things of their own: one chain, nothing twice."""
    shared = [decision(number) for number in range(10)]

    def work(thread: int) -> None:
        for one in random.Random(thread).sample(shared, 10):
            ledger.record(one, actor=f"thread {thread}")
            ledger.append("key", "", {"thread": thread})

    ledger.database.patience = 30
    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    result = ledger.verify()
    assert (result.ok, result.entries) == (True, 90), result.why
    assert len(ledger.decisions(limit=100)) == 10


PROCESS = """
import sys
from datetime import datetime, timezone
from dense.inspection.decision import Decision, decision_id
from dense.inspection.ledger import Ledger
from dense.inspection.store.database import Database
ledger = Ledger(Database(sys.argv[1], patience=60))
when = datetime.now(timezone.utc)
for number in range(25):
    digest = f"{number:064x}"
    key = decision_id("nut", 1, "cam", digest)
    ledger.record(Decision(key, "nut", 1, "cam", digest, when, "pass"), actor=sys.argv[2])
"""


def test_processes_append_at_once(registry: Registry) -> None:
    url = registry.database.url.render_as_string(hide_password=False)
    runs = [
        subprocess.Popen([sys.executable, "-c", PROCESS, url, f"process {number}"])
        for number in range(3)
    ]
    assert [run.wait(120) for run in runs] == [0, 0, 0]
    result = Ledger(registry.database).verify()
    assert (result.ok, result.entries) == (True, 25), result.why


def test_a_sound_log(filled: Path) -> None:
    registry = Registry(filled)
    ledger = Ledger(registry.database)
    head, seen = ledger.head(), []
    result = ledger.verify(head, seen.append)
    assert result.to_json() == {
        "ok": True,
        "entries": 24,
        "broken_at": None,
        "why": "",
        "head_hash": head.hash,
    }
    assert seen == [24]
    assert ledger.verify(Head(None, ledger.entries()[3].hash)).ok  # a head of long ago
    assert ledger.rebuild() == 24 and ledger.verify(head).ok


TAMPERINGS = {
    "a number in a decision": (
        "UPDATE log SET body = replace(body, '\"score\":1.0', '\"score\":0.0') WHERE seq = 8",
        8,
        "entry 8 was changed",
    ),
    "who": ("UPDATE log SET actor = 'eve' WHERE seq = 3", 3, "entry 3 was changed"),
    "when": ("UPDATE log SET made_at = '2020' WHERE seq = 1", 1, "entry 1 was changed"),
    "the last": ("UPDATE log SET body = '{}' WHERE seq = 24", 24, "entry 24 was changed"),
    "one missing": ("DELETE FROM log WHERE seq = 7", 7, "entry 7 is missing"),
    "three missing": (
        "DELETE FROM log WHERE seq BETWEEN 7 AND 9",
        7,
        "entries 7 to 9 are missing",
    ),
    "the first missing": ("DELETE FROM log WHERE seq = 1", 1, "entry 1 is missing"),
    "removed and moved up": (
        "DELETE FROM log WHERE seq = 7; UPDATE log SET seq = -seq WHERE seq > 7;"
        "UPDATE log SET seq = -seq - 1 WHERE seq < 0",
        7,
        "entry 7 was entry 8 when it was written",
    ),
    "two changed places": (
        "UPDATE log SET seq = -1 WHERE seq = 11; UPDATE log SET seq = 11 WHERE seq = 12;"
        "UPDATE log SET seq = 12 WHERE seq = -1",
        11,
        "entry 11 was entry 12 when it was written",
    ),
    "inserted twice": (
        "UPDATE log SET seq = -seq WHERE seq > 4; UPDATE log SET seq = 1 - seq WHERE seq < 0;"
        "INSERT INTO log SELECT 5, made_at, kind, product, actor, body, previous_hash, hash "
        "FROM log WHERE seq = 4",
        5,
        "entry 5 was entry 4 when it was written",
    ),
    "no UTF-8": (
        "UPDATE log SET actor = CAST(x'ff41' AS TEXT) WHERE seq = 9",
        9,
        "entry 9 was changed",
    ),
    "a number for a text": ("UPDATE log SET body = 7 WHERE seq = 9", 9, "entry 9 was changed"),
    "the table's verdict": (
        "UPDATE decisions SET verdict = 'pass' WHERE seq = 6",
        6,
        "the table of decision differs from entry 6",
    ),
    "a row of the table": (
        "DELETE FROM decisions WHERE seq = 6",
        6,
        "the table of decision differs from entry 6",
    ),
    "feedback in force again": (
        "UPDATE feedback SET ended_by = NULL WHERE seq = 22",
        23,
        "the table of feedback does not know what entry 23 ends",
    ),
    "feedback no more in force": (
        "INSERT INTO feedback SELECT 99, decision_seq, decision_id, product, kind, note, use, "
        "actor, made_at, NULL FROM feedback WHERE seq = 22",
        25,
        "the table of feedback has more than the log tells",
    ),
    "the end, leaving the table": (
        "DELETE FROM log WHERE seq > 15",
        16,
        "the table of decision has more than the log tells",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_found_and_located(filled: Path, name: str) -> None:
    statements, at, why = TAMPERINGS[name]
    tamper(filled, *statements.split(";"))
    ok, broken_at, told = found(filled)
    assert (ok, broken_at) == (False, at), told
    assert why in told


def rewritten(home: Path, first: int, last: int) -> None:
    """Everything from `first` on written anew with sound hashes, up to `last`."""
    connection = sqlite3.connect(home / "registry.sqlite")
    entries = [Entry(*row) for row in connection.execute("SELECT * FROM log ORDER BY seq")]
    head = Head(first - 1, entries[first - 2].hash) if first > 1 else Head()
    connection.execute("DELETE FROM log WHERE seq >= ?", (first,))
    connection.execute("DELETE FROM decisions WHERE seq > ?", (last,))
    connection.execute("DELETE FROM feedback WHERE seq > ?", (last,))
    for old in entries[first - 1 : last]:
        new = follow(head, old.made_at, old.kind, old.product, "eve", old.content)
        values = tuple(new.to_row().values())
        connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
        head = Head(new.seq, new.hash)
    connection.commit()
    connection.close()


def test_a_known_head_shows_what_a_chain_cannot(filled: Path) -> None:
    """Who can write the database can write a whole new chain: only a head kept elsewhere tells."""
    registry = Registry(filled)
    head, early = Ledger(registry.database).head(), Ledger(registry.database).entries()[1].hash
    registry.close()
    rewritten(filled, 18, 20)
    assert found(filled) == (True, None, "")
    ok, at, why = found(filled, head)
    assert (ok, at) == (False, 21)
    assert why.endswith("before the known head: entries 21 to 24 are missing")
    ok, at, why = found(filled, Head(None, head.hash))
    assert (ok, at) == (False, 21) and "no entry has its hash" in why
    assert found(filled, Head(None, early))[0]
    ok, at, why = found(filled, Head(19, head.hash))
    assert (ok, at) == (False, 19) and "written anew from there or from before" in why


def test_a_replaced_entry_does_not_fit(filled: Path) -> None:
    """One entry with a sound hash of its own: the next one was written after another."""
    connection = sqlite3.connect(filled / "registry.sqlite")
    rows = [Entry(*row) for row in connection.execute("SELECT * FROM log ORDER BY seq")]
    false = follow(Head(4, rows[3].hash), rows[4].made_at, "key", "", "eve", {})
    connection.execute("DELETE FROM log WHERE seq = 5")
    connection.execute("DELETE FROM decisions WHERE seq = 5")
    values = tuple(false.to_row().values())
    connection.execute("INSERT INTO log VALUES (?, ?, ?, ?, ?, ?, ?, ?)", values)
    connection.commit()
    connection.close()
    ok, at, why = found(filled)
    assert (ok, at) == (False, 6) and "entry 6 does not follow entry 5" in why
    assert find_break(Head(5, rows[4].hash), rows[5]) is None


def test_any_flipped_byte_of_the_file(filled: Path, tmp_path: Path) -> None:
    """Each byte of an entry in the database's file, and bytes at random: never a false 'sound'.

    A byte may be one that says nothing (free space): then all entries must read as before.
    """
    registry = Registry(filled)
    ledger = Ledger(registry.database)
    ledger.rebuild()  # no left-over pages
    with registry.database.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    before, head = ledger.entries(), ledger.head()
    registry.close()
    data = (filled / "registry.sqlite").read_bytes()
    body = data.index(before[11].body.encode())
    inside = random.Random(1).sample(range(body - 60, body + len(before[11].body) + 128), 60)
    anywhere = random.Random(2).sample(range(len(data)), 60)
    located = 0
    for place in [*inside, *anywhere]:
        home = tmp_path / "flipped"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.Random(place).randrange(8)
        (home / "registry.sqlite").write_bytes(flipped)
        try:
            copy = Registry(home)
        except InputError as error:  # the file no longer is a registry
            assert place in anywhere, error
            continue
        result = Ledger(copy.database).verify(head)
        if result.ok:
            assert Ledger(copy.database).entries() == before
        elif place in inside and result.broken_at == 12:
            located += 1
        copy.close()
    assert located >= 55


def test_export_verifies_without_a_database(filled: Path, tmp_path: Path) -> None:
    registry = Registry(filled)
    lines = list(export_lines(registry.database))
    head = Ledger(registry.database).head()
    registry.close()
    path = tmp_path / "log.jsonl"
    path.write_text("".join(lines), encoding="utf-8")
    result = verify_file(path, head)
    assert (result.ok, result.entries, result.head_hash) == (True, 24, head.hash)
    data = path.read_bytes()
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.encode()))
    for place in random.Random(3).sample(range(len(data)), 150):
        flipped = bytearray(data)
        flipped[place] ^= 1 << random.Random(place).randrange(8)
        path.write_bytes(flipped)
        result = verify_file(path)
        at = sum(start <= place for start in starts)
        assert (result.ok, result.broken_at) == (False, at), (place, result)
    for change, at in (
        (lines[:9] + lines[10:], 10),
        ([*lines[:9], lines[10], lines[9], *lines[11:]], 10),
        ([*lines[:9], lines[8], *lines[9:]], 10),
        ([*lines[:3], "[" * 100000 + "\n", *lines[4:]], 4),
    ):
        path.write_text("".join(change), encoding="utf-8")
        result = verify_file(path)
        assert (result.ok, result.broken_at) == (False, at)
    path.write_text("".join(lines[:20]), encoding="utf-8")
    assert verify_file(path).ok and not verify_file(path, head).ok
    with pytest.raises(InputError, match="cannot read"):
        verify_file(tmp_path / "none")


def test_heads_are_read(tmp_path: Path) -> None:
    known = "ab" * 32
    path = tmp_path / "head.json"
    path.write_text(json.dumps({"entries": 5, "head_hash": known}))
    assert read_head(str(path)) == Head(5, known)
    assert read_head(known.upper()) == Head(None, known)
    path.write_text("{}")
    with pytest.raises(InputError, match="holds no known head"):
        read_head(str(path))
    with pytest.raises(InputError, match="a head is a hash of 64 hexadecimal letters"):
        read_head("nonsense")


def test_memory_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifteen times the entries take less than three times the memory."""
    monkeypatch.setattr(verify, "PAGE", 50)
    registry = Registry(tmp_path)
    ledger = Ledger(registry.database)

    def peak() -> int:
        gc.collect()
        tracemalloc.start()
        ledger.verify()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    def grow(count: int, start: int) -> None:
        ledger.record_many([(decision(start + n), None, None) for n in range(count)])

    grow(100, 0)
    peak()
    small = peak()
    grow(1400, 100)
    assert peak() < 3 * small


def test_local_actor_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from dense.inspection.ledger import who_acts

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 987654)
    assert who_acts() == "local:unknown"
