"""Writing to the log, and the tables that are made from each entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone

from sqlalchemy import Connection, delete, insert, select, text, update

from dense.errors import InputError
from dense.inspection.ledger.acting import who_acts
from dense.inspection.ledger.chain import GENESIS, Entry, Head, clean, follow
from dense.inspection.store.tables import decisions, feedback, log

_LOCK = 0x64656E74
"""Advisory lock of PostgreSQL under which the log grows; SQLite has one writer at a time anyway."""
Told = tuple[Mapping[str, object], str | None, str | None]
"""`Decision.to_json`, and the SHA-256 of the files with the picture and its maps."""
COLUMNS = tuple(column.name for column in log.columns)


def add(
    connection: Connection,
    kind: str,
    product: str,
    body: Mapping[str, object],
    actor: str | None = None,
) -> Entry:
    """Add an entry in the caller's transaction, which must be one that may write.

    Args:
        connection: Of `Database.write`.
        kind: E.g. ``"decision"``.
        product: Name, empty for none.
        body: Plain values.
        actor: Who did it; `who_acts` if ``None``.
    """
    return add_many(connection, kind, [(product, body)], actor)[0]


def add_many(
    connection: Connection,
    kind: str,
    told: Sequence[tuple[str, Mapping[str, object]]],
    actor: str | None = None,
) -> list[Entry]:
    """Add entries of one kind, each a product's name and a body, see `add`."""
    hold(connection)
    last, made_at, entries = head(connection), now(), []
    for product, body in told:
        entry = follow(last, made_at, kind, product, actor or who_acts(), body)
        entries.append(entry)
        last = Head(entry.seq, entry.hash)
    if entries:
        connection.execute(insert(log), [entry.to_row() for entry in entries])
        derive(connection, entries)
    return entries


def add_decisions(
    connection: Connection, told: Sequence[Told], actor: str | None = None
) -> list[Entry]:
    """Add decisions, each once: one that is logged already gives its entry; see `add`."""
    hold(connection)
    known = _known(connection, [str(plain["id"]) for plain, _, _ in told])
    new: dict[str, tuple[str, dict[str, object]]] = {}
    for plain, picture, evidence in told:
        body: dict[str, object] = {"decision": plain, "picture": picture, "evidence": evidence}
        if str(plain["id"]) not in known:
            new.setdefault(str(plain["id"]), (str(plain["product"]), body))
    added = add_many(connection, "decision", list(new.values()), actor)
    known |= dict(zip(new, added, strict=True))
    return [known[str(plain["id"])] for plain, _, _ in told]


def find_same(
    connection: Connection, kind: str, product: str, body: Mapping[str, object]
) -> Entry | None:
    """The first entry of a kind whose body has all that `body` has; ``None`` if that is nothing."""
    if not body:
        return None
    hold(connection)
    wanted = select(log).where(log.c.kind == kind, log.c.product == product).order_by(log.c.seq)
    entries = (Entry(*row) for row in connection.execute(wanted))
    return next((entry for entry in entries if body.items() <= entry.content.items()), None)


def hold(connection: Connection) -> None:
    """Let no other process add to the log until the end of this transaction."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))


def head(connection: Connection) -> Head:
    """The last entry."""
    newest = select(log.c.seq, log.c.hash).order_by(log.c.seq.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.seq, row.hash)


def derive(connection: Connection, entries: Sequence[Entry]) -> None:
    """Bring the tables that are made from the log up to entries."""
    judged = [decision_row(entry) for entry in entries if entry.kind == "decision"]
    if judged:
        connection.execute(insert(decisions), judged)
    for entry in entries:
        if entry.kind == "feedback":
            connection.execute(insert(feedback).values(feedback_row(entry)))
        ended = ends(entry)
        if ended is not None:
            ending = update(feedback).where(feedback.c.seq == ended).values(ended_by=entry.seq)
            connection.execute(ending)


def forget_derived(connection: Connection) -> None:
    """Empty the tables that are made from the log, to make them anew."""
    connection.execute(delete(decisions))
    connection.execute(delete(feedback))


def decision_row(entry: Entry) -> dict[str, object]:
    """The row of `decisions` for a decision."""
    body = entry.content
    decision: dict[str, object] = dict(body["decision"])  # type: ignore[call-overload]
    reasons = [f"{why['code']} {why['text']}" for why in decision["reasons"]]  # type: ignore[attr-defined]
    return {
        "seq": entry.seq,
        "id": decision["id"],
        "product": entry.product,
        "version": decision["version"],
        "verdict": decision["verdict"],
        "source": clean(str(decision["source"]), 500),
        "content_sha256": decision["content_sha256"],
        "judged_at": utc(str(decision["judged_at"])),
        "score": decision["score"],
        "threshold": decision["threshold"],
        "distance": decision.get("distance"),
        "reasons": clean("; ".join(reasons), 1000),
        "picture": body.get("picture"),
        "evidence": body.get("evidence"),
    }


def feedback_row(entry: Entry) -> dict[str, object]:
    """The row of `feedback` for a feedback, before anything ends it."""
    body = entry.content
    return {
        "seq": entry.seq,
        "decision_seq": body["entry"],
        "decision_id": body["decision"],
        "product": entry.product,
        "kind": body["feedback"],
        "note": body["note"],
        "use": body["use"],
        "actor": entry.actor,
        "made_at": entry.made_at,
        "ended_by": None,
    }


def ends(entry: Entry) -> int | None:
    """Number of the feedback entry that this one replaces or undoes."""
    if entry.kind not in ("feedback", "feedback-undone"):
        return None
    ended = entry.content.get("ends")
    return ended if isinstance(ended, int) else None


def now() -> str:
    """ISO 8601, UTC, in milliseconds."""
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def utc(when: str) -> str:
    """ISO 8601 in UTC and microseconds, so that times compare as text.

    Raises:
        InputError: If it is no time.
    """
    try:
        parsed = datetime.fromisoformat(when.strip().replace("Z", "+00:00"))
    except ValueError as error:
        raise InputError(
            f"a time is given as 2026-01-31 or 2026-01-31T12:00:00+00:00, got {when[:80]!r}"
        ) from error
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=timezone.utc)
    return parsed.astimezone(timezone.utc).isoformat(timespec="microseconds")


def _known(connection: Connection, ids: Sequence[str]) -> dict[str, Entry]:
    """Entries of those of these decisions that are logged already."""
    joined = select(*log.columns, decisions.c.id).join(decisions, decisions.c.seq == log.c.seq)
    rows = connection.execute(joined.where(decisions.c.id.in_(ids)))
    return {row.id: Entry(*row[: len(COLUMNS)]) for row in rows}
