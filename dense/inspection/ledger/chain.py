"""An entry, its hash, and whether it follows the one before; pure functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from dense.errors import InputError
from dense.inspection.plain import digest, read_entry
from dense.outputs import plain_values

GENESIS = "0" * 64
"""`previous_hash` of the first entry."""
NEIGHBOURS = 3
"""How far an entry is looked for from its place, to say whether it was moved."""


@dataclass(frozen=True)
class Head:
    """The last entry: written down elsewhere it shows later whether the end is still there.

    Attributes:
        seq: Its number; 0 for an empty log, ``None`` if only its hash is known.
        hash: Its hash, `GENESIS` for an empty log.
    """

    seq: int | None = 0
    hash: str = GENESIS


@dataclass(frozen=True)
class Entry:
    """One entry.

    Attributes:
        seq: 1, 2, … without gaps.
        made_at: ISO 8601, UTC.
        kind: E.g. ``"decision"``.
        product: Name, empty for none.
        actor: Who did it.
        body: Canonical JSON of an object, as text: the hash is of this text.
        previous_hash: `hash` of the entry before, `GENESIS` for the first.
        hash: See `seal`.
    """

    seq: int
    made_at: str
    kind: str
    product: str
    actor: str
    body: str
    previous_hash: str
    hash: str

    @property
    def content(self) -> Mapping[str, object]:
        """The body, read.

        Raises:
            InputError: If it is no JSON object.
        """
        try:
            return read_entry(json.loads(self.body))
        except (ValueError, RecursionError) as error:
            raise InputError(f"the body of log entry {self.seq} is broken") from error

    def to_row(self) -> dict[str, object]:
        """The columns, the body as text: what `seal` and exports are made of."""
        return {
            "seq": self.seq,
            "made_at": self.made_at,
            "kind": self.kind,
            "product": self.product,
            "actor": self.actor,
            "body": self.body,
            "previous_hash": self.previous_hash,
            "hash": self.hash,
        }

    def to_json(self) -> dict[str, object]:
        """Plain values, the body as an object."""
        return {**self.to_row(), "body": self.content}


def canonical(body: Mapping[str, object]) -> str:
    """The one spelling of a body: sorted keys, no spaces, ASCII, no NaN."""
    return json.dumps(plain_values(body), sort_keys=True, separators=(",", ":"), allow_nan=False)


def clean(text: str, letters: int) -> str:
    """Text that every database can hold: no control characters, no halves of letters."""
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    return kept.encode(errors="replace").decode()[:letters]


def seal(entry: Entry) -> str:
    """SHA-256 of the canonical JSON (UTF-8) of all columns but ``hash``."""
    row = entry.to_row()
    del row["hash"]
    return hashlib.sha256(digest(row)).hexdigest()


def follow(
    head: Head, made_at: str, kind: str, product: str, actor: str, body: Mapping[str, object]
) -> Entry:
    """The entry that comes after `head`."""
    entry = Entry(
        (head.seq or 0) + 1,
        made_at,
        clean(kind, 32),
        clean(product, 64),
        clean(actor, 120),
        canonical(body),
        head.hash,
        "",
    )
    return replace(entry, hash=seal(entry))


def find_break(head: Head, entry: Entry) -> tuple[int, str] | None:
    """Whether `entry` is what was written after `head`.

    Returns:
        ``None`` if it is; else the number of the entry where the log is broken, and why.
    """
    due = (head.seq or 0) + 1
    try:
        sealed = seal(entry) == entry.hash
    except (ValueError, TypeError):  # e.g. halves of letters, which no entry was written with
        sealed = False
    if entry.seq != due:
        missing = f"entry {due} is missing" if entry.seq == due + 1 else _gap(due, entry.seq)
        return due, f"{missing}: after entry {due - 1} comes entry {entry.seq}"
    if not sealed:
        return due, _unsealed(entry)
    if entry.previous_hash != head.hash:
        return due, (
            f"entry {due} does not follow entry {due - 1}: it was written after another one; an "
            "entry was replaced, inserted or removed here, or entries changed places"
        )
    return None


def _gap(due: int, found: int) -> str:
    if found > due:
        return f"entries {due} to {found - 1} are missing"
    return f"entry {found} comes twice or out of order"


def _unsealed(entry: Entry) -> str:
    for step in range(-NEIGHBOURS, NEIGHBOURS + 1):
        if step and _was(entry, entry.seq + step):
            return (
                f"entry {entry.seq} was entry {entry.seq + step} when it was written: entries "
                "were inserted, removed or changed places here"
            )
    return f"entry {entry.seq} was changed: its content is not what its hash was made of"


def _was(entry: Entry, seq: int) -> bool:
    try:
        return seal(replace(entry, seq=seq)) == entry.hash
    except (ValueError, TypeError):
        return False
