"""Decisions and feedback as they are read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sqlalchemy import Row, Select, and_, func, or_, select

from dense.errors import InputError
from dense.inspection.decision import Verdict
from dense.inspection.ledger.chain import Entry
from dense.inspection.ledger.rows import COLUMNS, utc
from dense.inspection.store.tables import decisions, feedback, log

FeedbackKind = Literal["right", "false-alarm", "missed"]
"""``right``: the decision was; ``false-alarm``: a good part did not pass; ``missed``: a defective
one passed."""
MOST = 1000
"""Entries that are read at once."""


@dataclass(frozen=True)
class Feedback:
    """What a person said of a decision.

    Attributes:
        seq: Number of its log entry.
        decision_id: Of the decision.
        kind: See `FeedbackKind`.
        note: In the person's words.
        actor: Who.
        made_at: ISO 8601, UTC.
        use: What the picture was used for since, ``None`` for nothing.
    """

    seq: int
    decision_id: str
    kind: str
    note: str
    actor: str
    made_at: str
    use: str | None

    def to_json(self) -> dict[str, object]:
        """Plain values."""
        return {
            "seq": self.seq,
            "kind": self.kind,
            "note": self.note,
            "actor": self.actor,
            "made_at": self.made_at,
            "use": self.use,
        }


@dataclass(frozen=True)
class Logged:
    """A decision in the log.

    Attributes:
        entry: Its entry.
        feedback: What was said of it and is in force.
    """

    entry: Entry
    feedback: Feedback | None = None

    @property
    def decision(self) -> Mapping[str, object]:
        """`Decision.to_json` as it was when it was made."""
        return self.entry.content["decision"]  # type: ignore[return-value]

    @property
    def seq(self) -> int:
        return self.entry.seq

    @property
    def hash(self) -> str:
        return self.entry.hash

    @property
    def actor(self) -> str:
        return self.entry.actor

    @property
    def picture(self) -> str | None:
        """SHA-256 of the picture's file."""
        return self.entry.content["picture"]  # type: ignore[return-value]

    @property
    def evidence(self) -> str | None:
        """SHA-256 of the file with the maps."""
        return self.entry.content["evidence"]  # type: ignore[return-value]

    def to_json(self) -> dict[str, object]:
        """The decision's own plain values and those of the log."""
        body = self.entry.content
        return {
            **self.decision,
            "seq": self.seq,
            "hash": self.hash,
            "actor": self.actor,
            "picture": body["picture"],
            "evidence": body["evidence"],
            "feedback": None if self.feedback is None else self.feedback.to_json(),
        }


def read_entry_row(row: Sequence[object]) -> Entry:
    """An entry from a row that begins with the columns of `log`."""
    return Entry(*row[: len(COLUMNS)])  # type: ignore[arg-type]


def read_feedback(row: Row[tuple[object, ...]]) -> Feedback:
    """A feedback from a row of `feedback`."""
    return Feedback(row.seq, row.decision_id, row.kind, row.note, row.actor, row.made_at, row.use)


IN_FORCE = feedback.c.ended_by.is_(None)
_FEEDBACK = ("seq", "decision_id", "kind", "note", "actor", "made_at", "use")


def logged_query() -> Select[tuple[object, ...]]:
    """Decisions with their entries and the feedback in force, unordered."""
    said = [feedback.c[name].label(f"feedback_{name}") for name in _FEEDBACK]
    same = and_(feedback.c.decision_seq == decisions.c.seq, IN_FORCE)
    joined = decisions.join(log, log.c.seq == decisions.c.seq).outerjoin(feedback, same)
    return select(*log.columns, *said).select_from(joined)


def read_logged(row: Row[tuple[object, ...]]) -> Logged:
    """From a row of `logged_query`."""
    said = [getattr(row, f"feedback_{name}") for name in _FEEDBACK]
    return Logged(read_entry_row(row), None if said[0] is None else Feedback(*said))


def narrow(
    query: Select[tuple[object, ...]],
    *,
    product: str | None,
    verdict: str | None,
    since: str | None,
    until: str | None,
    said: str | None,
    source: str | None,
    text: str | None,
) -> Select[tuple[object, ...]]:
    """`logged_query` with filters; see `Ledger.decisions`."""
    check_among("verdict", verdict, get_args(Verdict))
    check_among("feedback", said, (*get_args(FeedbackKind), "any", "none"))
    if product is not None:
        query = query.where(decisions.c.product == product)
    if verdict is not None:
        query = query.where(decisions.c.verdict == verdict)
    if since is not None:
        query = query.where(decisions.c.judged_at >= utc(since))
    if until is not None:
        query = query.where(decisions.c.judged_at < utc(until))
    if source is not None:
        query = query.where(decisions.c.source == source)
    if said == "none":
        query = query.where(feedback.c.seq.is_(None))
    elif said == "any":
        query = query.where(feedback.c.seq.is_not(None))
    elif said is not None:
        query = query.where(feedback.c.kind == said)
    return query if not text else query.where(_holds(text))


def _holds(text: str):  # type: ignore[no-untyped-def]
    small = text.lower()
    return or_(
        *(
            func.lower(column).contains(small, autoescape=True)
            for column in (decisions.c.source, decisions.c.reasons, feedback.c.note)
        ),
        decisions.c.id.startswith(small, autoescape=True),
    )


def check_among(name: str, value: str | None, known: tuple[str, ...]) -> None:
    """Refuse a word that is not known.

    Raises:
        InputError: If it is none of them.
    """
    if value is not None and value not in known:
        raise InputError(f"{name} is one of {', '.join(known)}, got {str(value)[:80]!r}")


def check_limit(limit: int) -> int:
    """How many are read at once.

    Raises:
        InputError: If it is more than `MOST`, or none.
    """
    if not 1 <= limit <= MOST:
        raise InputError(f"between 1 and {MOST} can be read at once, got {limit}")
    return limit


def check_fits(kind: str, verdict: str) -> None:
    """Whether a feedback can be given on a decision with this verdict.

    Raises:
        InputError: If it contradicts itself.
    """
    if kind == "false-alarm" and verdict == "pass":
        raise InputError("a false alarm is a good part that did not pass, and this one passed")
    if kind == "missed" and verdict != "pass":
        raise InputError("missed is a defective part that passed, and this one did not")
