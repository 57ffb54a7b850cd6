"""The journal of a watch: what was decided, once, and which sinks have yet to hear of it.

A decision, its mark in the ledger and one row a sink are written in one transaction. Whatever
happens before it, the picture is judged again and gives the same id; whatever happens after it, the
rows are there at the next start. A row goes when its sink has taken the decision. A process that
ends between the two delivers again, under the same id.

Size is bounded: when `Limits.pending` decisions wait for one sink, or the file has reached
`Limits.bytes`, the source is made to wait. Nothing is ever dropped.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dense.errors import InputError
from dense.inspection.outbox.database import Database, lock_folder
from dense.inspection.outbox.schema import make_tables
from dense.inspection.sinks.base import Message
from dense.inspection.sources.base import Mark, Seen
from dense.outputs import plain_values

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """How large a journal may grow.

    Attributes:
        pending: Decisions that may wait for one sink.
        bytes: Size of the file.
    """

    pending: int = 100_000
    bytes: int = 4 << 30

    def __post_init__(self) -> None:
        if self.pending < 1 or self.bytes < 1 << 20:
            raise InputError(
                f"an outbox needs room for a decision and 1 MB, got {self.pending} and {self.bytes}"
            )


class Journal:
    """Opens or makes the journal in a folder; one process at a time.

    Args:
        folder: The state folder; made, readable by its owner alone.
        limits: Bounds of its size.
        give_up: When set, waiting for a locked database or a full disk ends with an error.

    Raises:
        InputError: If another process uses it, it is damaged, or a newer version made it.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        limits: Limits | None = None,
        give_up: threading.Event | None = None,
    ) -> None:
        self.folder, self.limits = Path(folder), limits or Limits()
        self.give_up = give_up or threading.Event()
        self._lock = lock_folder(self.folder)
        path = self.folder / "journal.sqlite"
        # Losing a mark of delivery to a power cut means delivering again; losing a decision of a
        # camera would lose a part. So only decisions wait for the disk.
        lock = threading.Lock()
        self._decisions, self._marks = (
            Database(
                path,
                durable=durable,
                max_bytes=self.limits.bytes,
                give_up=self.give_up,
                lock=lock,
            )
            for durable in (True, False)
        )
        self._room = threading.Condition()
        try:
            self._decisions.write(make_tables, "EXCLUSIVE")
        except BaseException:
            self.close()
            raise
        self._counts = self._count()

    def close(self) -> None:
        """Close the files and let others in."""
        self._decisions.close()
        self._marks.close()
        self._lock.release()

    def bind(self, product: str, source: str) -> None:
        """Tie the journal to a product and a source, or check that it is tied to them.

        Raises:
            InputError: If it belongs to others.
        """
        wanted = {"product": product, "source": source}

        def act(connection: sqlite3.Connection) -> dict[str, str]:
            rows = list(wanted.items())
            connection.executemany("INSERT OR IGNORE INTO about VALUES (?, ?)", rows)
            return dict(connection.execute("SELECT key, value FROM about").fetchall())

        kept = self._decisions.write(act)
        for key, value in wanted.items():
            if kept[key] != value:
                raise InputError(
                    f"the state in {self.folder} belongs to the {key} {kept[key]!r}, not to "
                    f"{value!r}: give another --state"
                )

    # The ledger, see `dense.inspection.sources.base.Ledger`.

    def find(self, place: str) -> Seen | None:
        """What is known of a place."""
        sql = "SELECT place, stamp, sha256 FROM ledger WHERE place = ?"
        row = self._decisions.read(lambda db: db.execute(sql, (place,)).fetchone())
        return None if row is None else Seen(*row)

    def with_stamp(self, stamp: str) -> list[Seen]:
        """All places that looked like this."""
        sql = "SELECT place, stamp, sha256 FROM ledger WHERE stamp = ?"
        rows = self._decisions.read(lambda db: db.execute(sql, (stamp,)).fetchall())
        return [Seen(*row) for row in rows]

    def remember(self, mark: Mark, content_sha256: str) -> None:
        """Keep a mark without a decision."""
        row = (mark.place, mark.stamp, content_sha256)
        self._decisions.write(lambda db: db.execute(_KEEP_MARK, row))

    # Decisions in.

    def record(
        self,
        body: Mapping[str, object],
        sinks: Mapping[str, Sequence[str]],
        *,
        pictures: Mapping[str, bytes] | None = None,
        mark: Mark | None = None,
    ) -> int:
        """Keep a decision, its mark and a row for each sink, all or nothing.

        Args:
            body: `Decision.to_json`.
            sinks: Names of the sinks that get it, each with the names of its pictures.
            pictures: Encoded pictures by name; those that no sink wants are left out.
            mark: Of the source.

        Returns:
            The decision's sequence number.
        """
        wanted = {name for names in sinks.values() for name in names}
        images = {name: data for name, data in (pictures or {}).items() if name in wanted}

        def act(db: sqlite3.Connection) -> int:
            if mark is not None:
                db.execute(_KEEP_MARK, (mark.place, mark.stamp, str(body["content_sha256"])))
            insert = "INSERT INTO decision (id, product, body) VALUES (?, ?, '')"
            sequence = db.execute(insert, (body["id"], body["product"])).lastrowid or 0
            if not sinks:
                db.execute("DELETE FROM decision WHERE sequence = ?", (sequence,))
                return sequence
            text = json.dumps(plain_values({**body, "sequence": sequence}), ensure_ascii=False)
            db.execute("UPDATE decision SET body = ? WHERE sequence = ?", (text, sequence))
            rows = [(sequence, name, data) for name, data in images.items()]
            db.executemany("INSERT INTO picture VALUES (?, ?, ?)", rows)
            boxes = [(sink, sequence) for sink in sinks]
            db.executemany("INSERT INTO outbox (sink, sequence) VALUES (?, ?)", boxes)
            return sequence

        sequence = self._decisions.write(act)
        with self._room:
            for sink in sinks:
                self._counts[sink] = self._counts.get(sink, 0) + 1
            self._room.notify_all()
        return sequence

    def wait_for_room(self, sinks: Sequence[str], stop: threading.Event) -> float:
        """Wait while too much waits for one of the sinks; returns the seconds that it took."""
        begun, told = time.monotonic(), False
        with self._room:
            while not stop.is_set():
                full = [name for name in sinks if self._counts.get(name, 0) >= self.limits.pending]
                if not full:
                    break
                if not told:
                    _LOG.warning("the outbox is full: the source waits for %s", ", ".join(full))
                    told = True
                self._room.wait(0.2)
        return time.monotonic() - begun if told else 0.0

    # Decisions out.

    def pending(self, sink: str, limit: int, *, pictures: bool = False) -> list[Message]:
        """The oldest decisions that wait for a sink, in order."""

        def act(db: sqlite3.Connection) -> list[Message]:
            rows = db.execute(_PENDING, (sink, limit)).fetchall()
            sql = "SELECT name, data FROM picture WHERE sequence = ?"
            found = []
            for number, name, product, text in rows:
                files = dict(db.execute(sql, (number,)).fetchall()) if pictures else {}
                found.append(Message(number, name, product, text, files))
            return found

        return self._marks.read(act)

    def wait_for_more(self, sink: str, seconds: float) -> None:
        """Sleep until something waits for a sink, at most so long."""
        with self._room:
            if not self._counts.get(sink, 0):
                self._room.wait(seconds)

    def delivered(self, sink: str, sequences: Sequence[int]) -> None:
        """Note that a sink has taken these."""

        def act(db: sqlite3.Connection) -> None:
            for number in sequences:
                db.execute("DELETE FROM outbox WHERE sink = ? AND sequence = ?", (sink, number))
                left = db.execute("SELECT 1 FROM outbox WHERE sequence = ? LIMIT 1", (number,))
                if left.fetchone() is None:
                    db.execute("DELETE FROM decision WHERE sequence = ?", (number,))
                    db.execute("DELETE FROM picture WHERE sequence = ?", (number,))

        self._marks.write(act)
        self._took(sink, len(sequences))

    def set_aside(self, sink: str, sequence: int, problem: str) -> None:
        """Keep one that the sink will never take as it is, with the reason; see `resend`."""
        sql = "UPDATE outbox SET problem = ? WHERE sink = ? AND sequence = ?"
        self._marks.write(lambda db: db.execute(sql, (problem, sink, sequence)))
        self._took(sink, 1)

    def resend(self) -> int:
        """Let everything that was set aside wait again; returns how many."""
        sql = "UPDATE outbox SET problem = NULL WHERE problem IS NOT NULL"
        count = self._decisions.write(lambda db: db.execute(sql).rowcount)
        self._counts = self._count()
        return count

    def waiting(self) -> dict[str, int]:
        """How many decisions wait, by sink."""
        with self._room:
            return {sink: count for sink, count in self._counts.items() if count}

    def aside(self) -> dict[str, int]:
        """How many decisions were set aside, by sink."""
        sql = "SELECT sink, count(*) FROM outbox WHERE problem IS NOT NULL GROUP BY sink"
        return dict(self._marks.read(lambda db: db.execute(sql).fetchall()))

    def _took(self, sink: str, count: int) -> None:
        with self._room:
            self._counts[sink] = self._counts.get(sink, 0) - count
            self._room.notify_all()

    def _count(self) -> dict[str, int]:
        sql = "SELECT sink, count(*) FROM outbox WHERE problem IS NULL GROUP BY sink"
        return dict(self._decisions.read(lambda db: db.execute(sql).fetchall()))


_KEEP_MARK = (
    "INSERT INTO ledger VALUES (?, ?, ?) ON CONFLICT (place) DO UPDATE"
    " SET stamp = excluded.stamp, sha256 = excluded.sha256"
)
_PENDING = (
    "SELECT sequence, decision.id, decision.product, decision.body"
    " FROM outbox JOIN decision USING (sequence)"
    " WHERE outbox.sink = ? AND outbox.problem IS NULL ORDER BY sequence LIMIT ?"
)
