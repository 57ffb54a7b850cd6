"""The journal: all or nothing, bounded, patient with a busy or full disk."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from pathlib import Path

import pytest

from dense.errors import InputError
from dense.inspection.backoff import Backoff
from dense.inspection.outbox import Courier, Journal, Limits
from dense.inspection.sources import Mark
from tests.inspection.line import ListSink, after, body


@pytest.fixture
def journal(tmp_path: Path):
    made = Journal(tmp_path / "state")
    yield made
    made.close()


def carry(journal: Journal, sink: ListSink, seconds: float = 5.0) -> Courier:
    """Deliver all that waits for a sink."""
    courier = Courier(journal, sink, backoff=Backoff(first=0.01, longest=0.02))
    courier.start()
    until = time.monotonic() + seconds
    while journal.waiting().get(sink.name) and time.monotonic() < until:
        time.sleep(0.01)
    courier.finish(1.0)
    courier.join(3.0)
    assert not courier.is_alive()
    return courier


def test_mark_decision_and_rows_are_kept_together(journal):
    pictures = {"picture.png": b"1", "defects.jpg": b"2"}
    mark = Mark("a.png", "12:34")
    sinks = {"one": (), "two": ("picture.png",)}
    number = journal.record(body(7), sinks, pictures=pictures, mark=mark)
    seen = journal.find("a.png")
    assert (seen.stamp, seen.content_sha256) == ("12:34", body(7)["content_sha256"])
    assert journal.with_stamp("12:34") == [seen]
    (one,) = journal.pending("one", 9)
    (two,) = journal.pending("two", 9, pictures=True)
    assert one.id == two.id == body(7)["id"] and one.sequence == number
    assert json.loads(one.text) == {**body(7), "sequence": number}
    assert one.pictures == {} and two.pictures == {"picture.png": b"1"}


def test_a_failing_row_leaves_nothing(journal, tmp_path):
    with pytest.raises(sqlite3.Error, match="not supported"):
        journal.record(body(), {"one": ("p",)}, pictures={"p": object()}, mark=Mark("a", "1"))
    assert journal.find("a") is None and journal.pending("one", 9) == []
    assert journal.waiting() == {}


def test_numbers_go_on_after_everything_is_delivered_and_reopened(tmp_path):
    first = Journal(tmp_path)
    numbers = [first.record(body(n), {"s": ()}) for n in range(3)]
    first.delivered("s", numbers)
    first.close()
    second = Journal(tmp_path)
    assert second.record(body(9), {"s": ()}) == numbers[-1] + 1
    second.close()


def test_what_waits_is_there_after_a_restart_until_the_last_sink_has_it(tmp_path):
    first = Journal(tmp_path)
    number = first.record(body(1), {"a": (), "b": ("p",)}, pictures={"p": b"x"})
    first.delivered("a", [number])
    first.close()
    second = Journal(tmp_path)
    assert second.waiting() == {"b": 1}
    assert second.pending("a", 9) == []
    assert second.pending("b", 9, pictures=True)[0].pictures == {"p": b"x"}
    second.delivered("b", [number])
    second.close()
    with sqlite3.connect(tmp_path / "journal.sqlite") as database:
        for table in ("decision", "picture", "outbox"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)


def test_room_of_delivered_pictures_is_used_again(tmp_path):
    journal, sizes = Journal(tmp_path), []
    for number in range(60):
        picture = {"p": bytes([number]) * 200_000}
        kept = journal.record(body(number), {"a": ("p",), "b": ()}, pictures=picture)
        (taken,) = journal.pending("a", 9, pictures=True)
        assert taken.pictures == picture
        journal.delivered("a", [kept])
        assert journal.pending("b", 9)[0].sequence == kept  # the other still waits
        journal.delivered("b", [kept])
        sizes.append((tmp_path / "journal.sqlite").stat().st_size)
    journal.close()
    assert max(sizes) < 2_000_000  # of 12 MB that went through


def test_one_process_at_a_time(tmp_path):
    journal = Journal(tmp_path)
    with pytest.raises(InputError, match="another dense watch uses"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_belongs_to_one_product_and_source(journal):
    journal.bind("nut", "folder a")
    journal.bind("nut", "folder a")
    with pytest.raises(InputError, match="belongs to the source 'folder a', not to 'folder b'"):
        journal.bind("nut", "folder b")
    with pytest.raises(InputError, match="belongs to the product 'nut', not to 'bolt'"):
        journal.bind("bolt", "folder a")


def test_other_files_and_newer_formats_are_refused(tmp_path):
    (tmp_path / "journal.sqlite").write_bytes(b"no database at all, but long enough" * 99)
    with pytest.raises(InputError, match="damaged or no database"):
        Journal(tmp_path)
    (tmp_path / "new").mkdir()
    with sqlite3.connect(tmp_path / "new" / "journal.sqlite") as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(InputError, match="made by a newer dense"):
        Journal(tmp_path / "new")


def test_limits_must_leave_room():
    with pytest.raises(InputError, match="needs room for a decision"):
        Limits(pending=0)


def test_order_is_kept_through_failures(journal):
    for number in range(20):
        journal.record(body(number), {"list": ()})
    sink = ListSink(failures=3)
    courier = carry(journal, sink)
    assert [entry.id for entry in sink.taken] == [body(n)["id"] for n in range(20)]
    assert courier.delivered == 20 and sink.closed and journal.waiting() == {}


def test_refused_for_good_is_kept_aside_and_can_be_sent_again(journal):
    numbers = [journal.record(body(n), {"list": ()}) for n in range(6)]
    sink = ListSink(refuse=[numbers[2]])
    carry(journal, sink)
    assert [entry.sequence for entry in sink.taken] == numbers[:2] + numbers[3:]
    assert journal.aside() == {"list": 1} and journal.waiting() == {}
    assert journal.resend() == 1
    again = ListSink()
    carry(journal, again)
    assert [entry.sequence for entry in again.taken] == [numbers[2]]
    assert journal.aside() == {}


def test_a_bug_in_a_sink_does_not_end_its_courier(journal):
    class Odd(ListSink):
        def deliver(self, messages):
            if self.failures:
                self.failures -= 1
                raise ZeroDivisionError("odd")
            super().deliver(messages)

    journal.record(body(), {"list": ()})
    sink = Odd(failures=2)
    carry(journal, sink)
    assert len(sink.taken) == 1


def test_killed_between_delivery_and_mark_delivers_again_under_the_same_id(tmp_path):
    first = Journal(tmp_path)
    first.record(body(5), {"list": ()})
    taken = ListSink()
    taken.deliver(first.pending("list", 9))
    first.close()  # no mark
    second = Journal(tmp_path)
    carry(second, taken)
    second.close()
    assert [entry.id for entry in taken.taken] == [body(5)["id"]] * 2
    assert taken.taken[0].text == taken.taken[1].text


def test_full_outbox_makes_the_source_wait_until_there_is_room(tmp_path, caplog):
    journal = Journal(tmp_path, limits=Limits(pending=2))
    numbers = [journal.record(body(n), {"dead": (), "quick": ()}) for n in range(2)]
    journal.delivered("quick", numbers)
    stop = threading.Event()
    after(0.3, lambda: journal.delivered("dead", numbers[:1]))
    assert 0.2 < journal.wait_for_room(["dead", "quick"], stop) < 3
    assert "the outbox is full: the source waits for dead" in caplog.text
    assert journal.wait_for_room(["dead", "quick"], stop) == 0
    journal.close()


def test_a_locked_database_is_waited_for(journal, caplog):
    other = sqlite3.connect(journal.folder / "journal.sqlite", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    after(2.6, other.rollback)
    journal.record(body(), {"s": ()})  # SQLite itself gives up after 2 s
    assert len(journal.pending("s", 9)) == 1
    assert "database is locked; trying again" in caplog.text
    assert "can be written again" in caplog.text
    other.close()


def test_a_full_disk_is_waited_for(tmp_path, caplog):
    """The bound of the file's size is SQLite's own "disk is full"."""
    journal = Journal(tmp_path, limits=Limits(bytes=1 << 20))
    big = {"p": bytes(200_000)}
    numbers = [journal.record(body(n), {"s": ("p",)}, pictures=big) for n in range(4)]
    after(0.4, lambda: journal.delivered("s", numbers[:2]))
    journal.record(body(9), {"s": ("p",)}, pictures={"p": bytes(300_000)})
    assert "database or disk is full; trying again" in caplog.text
    assert journal.waiting() == {"s": 3}
    assert [entry.id for entry in journal.pending("s", 9)][-1] == body(9)["id"]
    journal.close()


def test_giving_up_ends_the_wait_with_one_sentence(tmp_path):
    give_up = threading.Event()
    journal = Journal(tmp_path, limits=Limits(bytes=1 << 20), give_up=give_up)
    after(0.3, give_up.set)
    with pytest.raises(InputError, match="could not be written: database or disk is full"):
        journal.record(body(), {"s": ("p",)}, pictures={"p": bytes(2_000_000)}, mark=Mark("a", "1"))
    assert journal.find("a") is None
    journal.close()


def test_pauses_grow_up_to_a_bound_and_begin_anew():
    backoff = Backoff(first=1.0, longest=5.0, seed=0)
    pauses = [backoff.next() for _ in range(6)]
    bounds = [1, 2, 4, 5, 5, 5]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len(set(pauses)) == 6
    backoff.reset()
    assert backoff.next() <= 1.0
