"""Tables of the journal."""

from __future__ import annotations

import sqlite3

from dense.errors import InputError

_VERSION = 1
_SCHEMA = (
    "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE ledger (place TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL)"
    " WITHOUT ROWID",
    "CREATE INDEX ledger_stamp ON ledger (stamp)",
    "CREATE TABLE decision (sequence INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL,"
    " product TEXT NOT NULL, body TEXT NOT NULL)",
    "CREATE TABLE picture (sequence INTEGER NOT NULL, name TEXT NOT NULL, data BLOB NOT NULL,"
    " PRIMARY KEY (sequence, name)) WITHOUT ROWID",
    "CREATE TABLE outbox (sink TEXT NOT NULL, sequence INTEGER NOT NULL,"
    " problem TEXT, PRIMARY KEY (sink, sequence)) WITHOUT ROWID",
    "CREATE INDEX outbox_sequence ON outbox (sequence)",
    "CREATE INDEX outbox_problem ON outbox (sink) WHERE problem IS NOT NULL",
    f"PRAGMA user_version = {_VERSION}",
)


def make_tables(db: sqlite3.Connection) -> None:
    """Make what is missing.

    Raises:
        InputError: If a newer version made it.
    """
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        raise InputError(
            f"the journal was made by a newer dense (format {version}, this one reads {_VERSION}): "
            "update dense or give another --state"
        )
    if version == 0:
        for statement in _SCHEMA:
            db.execute(statement)
