"""Is the log still what was written? Reads it once, in order, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DatabaseError

from dense.errors import StoreError
from dense.inspection.ledger.chain import GENESIS, Entry, Head, find_break
from dense.inspection.ledger.rows import decision_row, ends, feedback_row
from dense.inspection.store.database import Database
from dense.inspection.store.tables import decisions, feedback, log

PAGE = 500
"""Entries in memory."""
Progress = Callable[[int], None]
Break = tuple[int, str]
"""Number of the entry where something is wrong, and what."""


@dataclass(frozen=True)
class Verification:
    """What was found.

    Attributes:
        ok: Whether everything is as it was written.
        entries: Sound entries, from the first on.
        broken_at: Number of the first entry that is not, or is missing.
        why: In words; empty if all is well.
        head_hash: Hash of the last sound entry: write it down to notice later if the end is gone.
    """

    ok: bool
    entries: int
    broken_at: int | None
    why: str
    head_hash: str

    def to_json(self) -> dict[str, object]:
        """Plain values; `read_head` takes their head."""
        return {
            "ok": self.ok,
            "entries": self.entries,
            "broken_at": self.broken_at,
            "why": self.why,
            "head_hash": self.head_hash,
        }


class _Chain:
    """Follows the entries, and looks out for a known head.

    Args:
        known: Written down earlier.
    """

    def __init__(self, known: Head | None) -> None:
        self.head, self.known = Head(), known
        self.found: Break | None = None
        self.met = known is None or known.hash == GENESIS

    def take(self, entry: Entry) -> bool:
        """Go on by an entry; ``False`` if it is broken."""
        self.found = find_break(self.head, entry) or self._against_known(entry)
        if self.found is None:
            self.head = Head(entry.seq, entry.hash)
        return self.found is None

    def _against_known(self, entry: Entry) -> Break | None:
        known = self.known
        if known is None or self.met:
            return None
        if entry.hash == known.hash:
            self.met = True
        elif known.seq == entry.seq:
            return entry.seq, (
                f"entry {entry.seq} is not the one that the known head names: the log was "
                "written anew from there or from before"
            )
        return None

    @property
    def unmet(self) -> bool:
        """Whether the known head is still to come."""
        return self.known is not None and not self.met

    def end(self) -> Verification:
        """The result after the last entry."""
        if self.found is None and self.unmet:
            self.found = self._cut()
        at, why = self.found or (None, "")
        return Verification(self.found is None, self.head.seq or 0, at, why, self.head.hash)

    def _cut(self) -> Break:
        last, seq = self.head.seq or 0, None if self.known is None else self.known.seq
        lost = (
            f"entries {last + 1} to {seq} are missing"
            if seq is not None
            else "no entry has its hash, so the end was cut off or the log written anew"
        )
        return last + 1, f"the log ends with entry {last}, before the known head: {lost}"


def verify_entries(
    entries: Iterable[Entry], head: Head | None = None, progress: Progress | None = None
) -> Verification:
    """Follow a chain of entries.

    Args:
        entries: In the order in which they are kept.
        head: One that was written down: the log must have it.
        progress: Called with the number of entries so far, now and then.
    """
    chain = _Chain(head)
    for entry in entries:
        if not chain.take(entry):
            break
        if progress and entry.seq % PAGE == 0:
            progress(entry.seq)
    return chain.end()


def verify_log(
    database: Database, head: Head | None = None, progress: Progress | None = None
) -> Verification:
    """Verify a registry's log, and that the tables made from it say the same.

    Others may go on writing: it is the state at the beginning that is looked at.

    Args:
        database: Of the registry.
        head: One that was written down: the log must have it.
        progress: Called with the number of entries so far, now and then.
    """
    chain = _Chain(head)
    try:
        with database.read() as connection, _any_bytes(connection):
            if connection.dialect.name == "postgresql":
                connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
            chain.found = _walk(connection, chain, progress)
    except StoreError as error:
        cause = error.__cause__
        if not isinstance(cause, DatabaseError) or "malformed" not in str(cause.orig):
            raise
        at = (chain.head.seq or 0) + 1
        damaged = at, f"the database's file is damaged, at or after entry {at}"
        chain.found = chain.found or damaged
    return chain.end()


def _walk(connection: Connection, chain: _Chain, progress: Progress | None) -> Break | None:
    """Follow the log and compare the tables made from it; the first thing that is wrong."""
    derived = _Derived(connection)
    for page in pages(connection):
        sound = [entry for entry in page if chain.found is None and chain.take(entry)]
        broken = [found for found in (derived.compare(sound), chain.found) if found is not None]
        if broken:
            return min(broken)
        if progress:
            progress(chain.head.seq or 0)
    return None if chain.unmet else derived.rest()


class _Derived:
    """Compares the tables that are made from the log with it, page by page."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.counts = {"decision": 0, "feedback": 0, "end": 0}

    def compare(self, entries: list[Entry]) -> Break | None:
        """The first entry of these that the tables tell otherwise."""
        for table, kind, make in (
            (decisions, "decision", decision_row),
            (feedback, "feedback", feedback_row),
        ):
            chosen = [entry for entry in entries if entry.kind == kind]
            self.counts[kind] += len(chosen)
            wanted = select(table).where(table.c.seq.in_([entry.seq for entry in chosen]))
            rows = {row.seq: row._asdict() for row in self.connection.execute(wanted)}
            for entry in chosen:
                row = rows.get(entry.seq)
                if row is not None and kind == "feedback":
                    row["ended_by"] = None
                if row != _made(make, entry):
                    return entry.seq, f"the table of {kind} differs from entry {entry.seq}"
        return self._ended(entries)

    def rest(self) -> Break | None:
        """What the tables have beyond the log."""
        found = {
            "decision": select(func.count()).select_from(decisions),
            "feedback": select(func.count()).select_from(feedback),
            "end": select(func.count()).where(feedback.c.ended_by.is_not(None)),
        }
        for what, query in found.items():
            if self.connection.execute(query).scalar() != self.counts[what]:
                table = "decision" if what == "decision" else "feedback"
                last = self.connection.execute(select(func.max(log.c.seq))).scalar() or 0
                return last + 1, (
                    f"the table of {table} has more than the log tells: entries at the end of the "
                    "log are gone, or rows were added"
                )
        return None

    def _ended(self, entries: list[Entry]) -> Break | None:
        for entry in entries:
            ended = _made(ends, entry)
            if ended is None:
                continue
            self.counts["end"] += 1
            wanted = select(feedback.c.ended_by).where(feedback.c.seq == ended)
            if self.connection.execute(wanted).scalar() != entry.seq:
                return entry.seq, f"the table of feedback does not know what entry {entry.seq} ends"
        return None


@contextmanager
def _any_bytes(connection: Connection) -> Iterator[None]:
    """Let SQLite hand out texts that are no UTF-8: they are to be found, not to end the search."""
    driver = connection.connection.dbapi_connection
    if connection.dialect.name != "sqlite" or driver is None:
        yield
        return
    driver.text_factory = lambda data: data.decode(errors="surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = str


def _made(make: Callable[[Entry], object], entry: Entry) -> object:
    """What is made of an entry; ``None`` of one that has a hash but no sense."""
    try:
        return make(entry)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None


def pages(connection: Connection) -> Iterator[list[Entry]]:
    """All rows in order, also those whose numbers are wrong."""
    last: int | None = None
    while True:
        wanted = select(log).order_by(log.c.seq).limit(PAGE)
        if last is not None:
            wanted = wanted.where(log.c.seq > last)
        page = [Entry(*row) for row in connection.execute(wanted)]
        if not page:
            return
        yield page
        last = page[-1].seq
