"""API keys and page sessions: who may do what.

A key is ``dense_ID_SECRET``; the database has the SHA-256 of the secret, which is 256 random bits,
so that no slow hash is needed. A session is a cookie with 256 random bits, kept the same way, and
is worth nothing once its key is revoked. The CSRF token of a session is a keyed hash of its cookie.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum

from sqlalchemy import Connection, delete, insert, select, update

from dense.errors import InputError, UnknownNameError
from dense.inspection.ledger.rows import add as add_to_log
from dense.inspection.store.database import Database
from dense.service.tables import api_keys, sessions

SESSION_SECONDS = 12 * 3600.0
REMEMBERED = 5.0
"""Seconds for which a checked key is believed: a revoked one works that long at most."""
_MOST_REMEMBERED = 1024
_NOBODY = hashlib.sha256(b"nobody").hexdigest()


class Role(str, Enum):
    """What a key is for."""

    operator = "operator"
    engineer = "engineer"
    auditor = "auditor"


class Right(str, Enum):
    """What an endpoint needs."""

    read = "read"
    work = "work"
    change = "change"
    audit = "audit"


RIGHTS: dict[Role, frozenset[Right]] = {
    Role.operator: frozenset({Right.read, Right.work}),
    Role.engineer: frozenset(Right),
    Role.auditor: frozenset({Right.read, Right.audit}),
}


@dataclass(frozen=True)
class Who:
    """Somebody whose key or session was checked."""

    key_id: str
    name: str
    role: Role

    @property
    def actor(self) -> str:
        """As the log names them."""
        return f"{self.name} ({self.key_id})"

    def may(self, right: Right) -> bool:
        """Whether the role includes a right."""
        return right in RIGHTS[self.role]


@dataclass(frozen=True)
class Listed:
    """A key without its secret."""

    id: str
    name: str
    role: Role
    made_at: str
    revoked_at: str | None


class KeyStore:
    """The keys of a registry's database; keys made and revoked stand in its log."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._checked: dict[str, tuple[Who, float]] = {}

    def add(self, name: str, role: Role) -> tuple[str, Who]:
        """Make a key; its text is returned once and kept nowhere.

        Raises:
            InputError: If the name is blank, long or not printable.
        """
        name = name.strip()
        if not name or len(name) > 64 or not name.isprintable():
            raise InputError(f"a key's name has 1 to 64 printable letters, got {name[:80]!r}")
        key_id, secret = secrets.token_hex(4), secrets.token_hex(32)
        row = {
            "id": key_id,
            "name": name,
            "role": role.value,
            "hash": _sha256(secret),
            "made_at": _now(),
        }
        who = Who(key_id, name, role)
        with self.database.write() as connection:
            connection.execute(insert(api_keys).values(row))
            _log(connection, "made", who)
        return f"dense_{key_id}_{secret}", who

    def list(self) -> list[Listed]:
        """All keys, oldest first."""
        with self.database.read() as connection:
            rows = connection.execute(select(api_keys).order_by("made_at", "id")).all()
        return [Listed(r.id, r.name, Role(r.role), r.made_at, r.revoked_at) for r in rows]

    def revoke(self, key_id: str) -> Who:
        """End a key and its sessions.

        Raises:
            InputError: If there is no such key, or it is revoked.
        """
        with self.database.write() as connection:
            known = connection.execute(select(api_keys).where(api_keys.c.id == key_id))
            row = known.one_or_none()
            if row is None or row.revoked_at is not None:
                raise UnknownNameError(f"no key {key_id[:20]!r}: dense serve-key list")
            connection.execute(
                update(api_keys).where(api_keys.c.id == key_id).values(revoked_at=_now())
            )
            connection.execute(delete(sessions).where(sessions.c.key_id == key_id))
            who = Who(row.id, row.name, Role(row.role))
            _log(connection, "revoked", who)
        self._checked.clear()
        return who

    def check(self, text: str) -> Who | None:
        """Whose key it is, ``None`` if nobody's."""
        _, _, rest = text.partition("dense_")
        key_id, _, secret = rest.partition("_")
        digest = _sha256(text)
        known = self._checked.get(digest)
        if known is not None and known[1] > time.monotonic():
            return known[0]
        with self.database.read() as connection:
            row = connection.execute(select(api_keys).where(api_keys.c.id == key_id)).one_or_none()
        expected = _NOBODY if row is None else row.hash
        right = hmac.compare_digest(_sha256(secret), expected)
        if not right or row is None or row.revoked_at is not None:
            return None
        who = Who(row.id, row.name, Role(row.role))
        if len(self._checked) >= _MOST_REMEMBERED:
            self._checked.clear()
        self._checked[digest] = who, time.monotonic() + REMEMBERED
        return who

    def open_session(self, who: Who) -> str:
        """Make a session; returns its cookie."""
        cookie, now = secrets.token_urlsafe(32), time.time()
        row = {"hash": _sha256(cookie), "key_id": who.key_id, "expires": now + SESSION_SECONDS}
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.expires < now))
            connection.execute(insert(sessions).values(row))
        return cookie

    def check_session(self, cookie: str) -> Who | None:
        """Whose session it is, ``None`` if nobody's or over."""
        wanted = (
            select(api_keys)
            .join(sessions, sessions.c.key_id == api_keys.c.id)
            .where(
                sessions.c.hash == _sha256(cookie),
                sessions.c.expires > time.time(),
                api_keys.c.revoked_at.is_(None),
            )
        )
        with self.database.read() as connection:
            row = connection.execute(wanted).one_or_none()
        return None if row is None else Who(row.id, row.name, Role(row.role))

    def close_session(self, cookie: str) -> None:
        """End a session."""
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.hash == _sha256(cookie)))


def csrf_token(cookie: str) -> str:
    """What the page must send back with every change."""
    return hmac.new(cookie.encode(), b"csrf", hashlib.sha256).hexdigest()


def _log(connection: Connection, what: str, who: Who) -> None:
    body = {"what": what, "key": who.key_id, "name": who.name, "role": who.role.value}
    add_to_log(connection, "key", "", body)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
