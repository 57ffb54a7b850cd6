"""The log in the registry's database: adding, asking, verifying."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from sqlalchemy import Connection, func, select

from dense.errors import InputError, UnknownNameError
from dense.inspection.decision import Decision
from dense.inspection.ledger.chain import Entry, Head, clean
from dense.inspection.ledger.logged import (
    IN_FORCE,
    Feedback,
    FeedbackKind,
    Logged,
    check_among,
    check_fits,
    check_limit,
    logged_query,
    narrow,
    read_entry_row,
    read_feedback,
    read_logged,
)
from dense.inspection.ledger.rows import (
    Told,
    add,
    add_decisions,
    derive,
    find_same,
    forget_derived,
    head,
    hold,
)
from dense.inspection.ledger.verify import Verification, pages, verify_log
from dense.inspection.store.database import Database
from dense.inspection.store.tables import decisions, feedback, log

KINDS = (
    "decision",
    "feedback",
    "feedback-undone",
    "product",
    "key",
    "refused-request",
    "drift",
)
"""Kinds of entries."""
_OWN = ("decision", "feedback", "feedback-undone")
_NOTE = 2000

Judged = tuple[Decision, str | None, str | None]
"""A decision and the SHA-256 of the files with its picture and its maps."""


class Ledger:
    """The log of a registry.

    Entries are added one after the other, also by several processes; the database itself refuses
    to change or delete them. Changes of products are logged by the registry.

    Args:
        database: Of the registry.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def record(
        self,
        decision: Decision,
        *,
        actor: str | None = None,
        picture: str | None = None,
        evidence: str | None = None,
    ) -> Entry:
        """Log a decision once: by its id, a second time returns the first entry.

        Args:
            decision: What was decided.
            actor: Who had it judged; who acts now if ``None``.
            picture: SHA-256 of the picture's file.
            evidence: SHA-256 of the file with its maps.
        """
        return self.record_many([(decision, picture, evidence)], actor=actor)[0]

    def record_many(self, judged: Iterable[Judged], *, actor: str | None = None) -> list[Entry]:
        """Log decisions in one transaction, each once, see `record`."""
        told = [(decision.to_json(), picture, evidence) for decision, picture, evidence in judged]
        return self.record_plain(told, actor=actor)

    def record_plain(self, told: Sequence[Told], *, actor: str | None = None) -> list[Entry]:
        """The same for decisions as plain values, see `Decision.to_json`."""
        with self.database.write() as connection:
            return add_decisions(connection, told, actor)

    def append(
        self,
        kind: str,
        product: str,
        body: Mapping[str, object],
        actor: str | None = None,
        *,
        once: Sequence[str] = (),
    ) -> Entry:
        """Log something else than a decision or feedback.

        Args:
            kind: One of `KINDS`.
            product: Name, empty for none.
            body: Plain values.
            actor: Who did it; who acts now if ``None``.
            once: Keys of the body; an entry that has the same there is returned instead.

        Raises:
            InputError: If the kind is none, or has a method of its own.
        """
        check_among("the kind of a log entry", kind, tuple(k for k in KINDS if k not in _OWN))
        with self.database.write() as connection:
            found = find_same(connection, kind, product, {key: body[key] for key in once})
            return found or add(connection, kind, product, body, actor)

    def give_feedback(
        self,
        decision_id: str,
        kind: FeedbackKind,
        note: str = "",
        actor: str | None = None,
        use: str | None = None,
    ) -> Entry:
        """Say whether a decision was right; this replaces what was said before.

        Args:
            decision_id: Of the decision.
            kind: ``"right"``, ``"false-alarm"`` or ``"missed"``.
            note: In the person's words.
            actor: Who; who acts now if ``None``.
            use: What the picture is used for since, e.g. ``"calibration"``.

        Returns:
            The entry; that of the feedback in force if it says the same.

        Raises:
            InputError: If there is no such decision, or the kind cannot be said of it.
        """
        check_among("feedback", kind, ("right", "false-alarm", "missed"))
        note = clean(note, _NOTE)
        with self.database.write() as connection:
            hold(connection)
            logged = self._logged(connection, decision_id)
            check_fits(kind, str(logged.decision["verdict"]))
            old = logged.feedback
            if old is not None and (old.kind, old.note, old.use) == (kind, note, use):
                return self._at(connection, old.seq)
            body = {
                "decision": decision_id,
                "entry": logged.seq,
                "feedback": kind,
                "note": note,
                "use": use,
                "ends": None if old is None else old.seq,
            }
            return add(connection, "feedback", logged.entry.product, body, actor)

    def undo_feedback(self, decision_id: str, actor: str | None = None) -> Entry:
        """Take back what was said of a decision; it stays in the log.

        Raises:
            InputError: If there is no such decision, or nothing was said of it.
        """
        with self.database.write() as connection:
            hold(connection)
            logged = self._logged(connection, decision_id)
            if logged.feedback is None:
                raise InputError(f"no feedback on decision {decision_id}: there is nothing to undo")
            body = {"decision": decision_id, "ends": logged.feedback.seq}
            return add(connection, "feedback-undone", logged.entry.product, body, actor)

    def feedback(self, product: str) -> list[Feedback]:
        """What was said of decisions on a product and is in force, oldest first."""
        wanted = select(feedback).where(feedback.c.product == product, IN_FORCE)
        with self.database.read() as connection:
            rows = connection.execute(wanted.order_by(feedback.c.seq))
            return [read_feedback(row) for row in rows]

    def decisions(
        self,
        product: str | None = None,
        verdict: str | None = None,
        since: str | None = None,
        until: str | None = None,
        feedback: str | None = None,
        source: str | None = None,
        text: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Logged]:
        """Decisions, newest first.

        Args:
            product: Name.
            verdict: ``"pass"``, ``"reject"`` or ``"refused"``.
            since: ISO 8601, judged then or later.
            until: ISO 8601, judged before.
            feedback: A kind, ``"any"`` or ``"none"``.
            source: Exactly this one.
            text: Somewhere in source, reasons, feedback's note, or at the beginning of the id.
            before: Only with a smaller `Logged.seq`: the next page.
            limit: At most so many, 1 to 1000.

        Raises:
            InputError: If a filter cannot be used.
        """
        query = narrow(
            logged_query(),
            product=product,
            verdict=verdict,
            since=since,
            until=until,
            said=feedback,
            source=source,
            text=text,
        )
        if before is not None:
            query = query.where(decisions.c.seq < before)
        query = query.order_by(decisions.c.seq.desc()).limit(check_limit(limit))
        with self.database.read() as connection:
            return [read_logged(row) for row in connection.execute(query)]

    def decision(self, decision_id: str) -> Logged:
        """One decision.

        Raises:
            UnknownNameError: If there is none with this id.
        """
        with self.database.read() as connection:
            return self._logged(connection, decision_id)

    def counts(self, product: str, version: int | None = None) -> dict[str, int]:
        """How many decisions there are, by verdict."""
        wanted = select(decisions.c.verdict, func.count()).where(decisions.c.product == product)
        if version is not None:
            wanted = wanted.where(decisions.c.version == version)
        with self.database.read() as connection:
            rows = connection.execute(wanted.group_by(decisions.c.verdict))
            found: dict[str, int] = {str(verdict): int(count) for verdict, count in rows}
        return {verdict: found.get(verdict, 0) for verdict in ("pass", "reject", "refused")}

    def latest(self, product: str) -> str | None:
        """When the newest decision on a product was made, ISO 8601, UTC."""
        newest = select(decisions.c.judged_at).where(decisions.c.product == product)
        with self.database.read() as connection:
            return connection.execute(newest.order_by(decisions.c.seq.desc()).limit(1)).scalar()

    def last_version(self, product: str) -> int:
        """Highest version that decided, 0 for none; also of products that are deleted."""
        highest = select(func.max(decisions.c.version)).where(decisions.c.product == product)
        with self.database.read() as connection:
            return connection.execute(highest).scalar() or 0

    def entries(self, after: int = 0, limit: int = 100) -> list[Entry]:
        """Entries with a larger number, in order."""
        wanted = select(log).where(log.c.seq > after).order_by(log.c.seq).limit(check_limit(limit))
        with self.database.read() as connection:
            return [read_entry_row(row) for row in connection.execute(wanted)]

    def head(self) -> Head:
        """The last entry; 0 and zeros for an empty log."""
        with self.database.read() as connection:
            return head(connection)

    def verify(
        self, head: Head | None = None, progress: Callable[[int], None] | None = None
    ) -> Verification:
        """Read the whole log and say whether and where it is broken, see `verify_log`."""
        return verify_log(self.database, head, progress)

    def rebuild(self) -> int:
        """Make the tables of decisions and feedback anew from the log; returns its entries."""
        with self.database.write() as connection:
            hold(connection)
            forget_derived(connection)
            last = 0
            for page in pages(connection):
                derive(connection, page)
                last = page[-1].seq
            return last

    def _logged(self, connection: Connection, decision_id: str) -> Logged:
        wanted = logged_query().where(decisions.c.id == clean(decision_id, 32))
        row = connection.execute(wanted).one_or_none()
        if row is None or row.seq is None:
            raise UnknownNameError(f"no decision {clean(decision_id, 80)!r} in the log")
        return read_logged(row)

    def _at(self, connection: Connection, seq: int) -> Entry:
        return read_entry_row(connection.execute(select(log).where(log.c.seq == seq)).one())
