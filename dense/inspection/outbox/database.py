"""One SQLite connection for many threads that waits out a locked database or a full disk."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from filelock import FileLock, Timeout

from dense.errors import InputError
from dense.inspection.backoff import Backoff

Value = TypeVar("Value")

_LOG = logging.getLogger(__name__)
_PASSING = ("locked", "busy", "full", "disk i/o error", "unable to open", "readonly")
"""Words of SQLite's messages about troubles that pass: others hold it, the disk is full or away."""


class Database:
    """A connection to a file in write-ahead mode.

    Args:
        path: The file; it is made.
        durable: Whether a commit is on the disk when it returns (also against loss of power), or
            only when the next durable one is.
        max_bytes: The file does not grow beyond this; writing then counts as a full disk.
        give_up: When set, waiting ends with an `InputError`.
        lock: Held while the connection is used; two connections to one file share it, as SQLite
            lets only one write and does not queue the others.

    Raises:
        InputError: If the file is no database.
    """

    def __init__(
        self,
        path: Path,
        *,
        durable: bool,
        max_bytes: int,
        give_up: threading.Event,
        lock: threading.Lock,
    ) -> None:
        self.path, self.give_up = path, give_up
        self._durable, self._max_bytes = durable, max_bytes
        self._lock = lock
        self._connection: sqlite3.Connection | None = None
        self.troubled = ""
        self._closed = False

    def read(self, action: Callable[[sqlite3.Connection], Value]) -> Value:
        """Run `action` outside a transaction."""
        return self._patiently(action, "")

    def write(
        self,
        action: Callable[[sqlite3.Connection], Value],
        kind: Literal["IMMEDIATE", "EXCLUSIVE"] = "IMMEDIATE",
    ) -> Value:
        """Run `action` as one transaction: all of it is kept or nothing."""
        return self._patiently(action, kind)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _patiently(self, action: Callable[[sqlite3.Connection], Value], kind: str) -> Value:
        backoff = Backoff(first=0.1, longest=5.0)
        while True:
            try:
                with self._lock:
                    value = self._once(action, kind)
                if self.troubled:
                    _LOG.warning("%s can be written again", self.path)
                    self.troubled = ""
                return value
            except sqlite3.OperationalError as error:
                self._check_passing(error)
            except sqlite3.DatabaseError as error:
                if type(error) is not sqlite3.DatabaseError:
                    raise  # a bug of ours, not of the file
                raise InputError(
                    f"{self.path} is damaged or no database of dense watch ({error}): move it "
                    "away to begin anew"
                ) from error
            if self.give_up.wait(backoff.next()):
                raise InputError(f"{self.path} could not be written: {self.troubled}")

    def _check_passing(self, error: sqlite3.OperationalError) -> None:
        text = str(error)
        if not any(word in text.lower() for word in _PASSING):
            raise error
        if "full" in text and self._connection is not None:
            with self._lock, contextlib.suppress(sqlite3.Error):  # gives its own log back
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if not self.troubled:
            _LOG.warning("%s: %s; trying again until it can be written", self.path, text)
        self.troubled = text

    def _once(self, action: Callable[[sqlite3.Connection], Value], kind: str) -> Value:
        if self._closed:
            raise InputError(f"{self.path} is closed")
        connection = self._connection or self._open()
        if not kind:
            return action(connection)
        connection.execute(f"BEGIN {kind}")
        try:
            value = action(connection)
            connection.execute("COMMIT")
            return value
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=2.0, isolation_level=None, check_same_thread=False
        )
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA wal_autocheckpoint = 256")  # about 1 MB, for small disks
            page = connection.execute("PRAGMA page_size").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {max(64, self._max_bytes // page)}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection


def lock_folder(folder: Path) -> FileLock:
    """Make a folder that only its owner reads, and keep other processes out of it.

    Raises:
        InputError: If another process is in it or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = FileLock(folder / "lock")
        lock.acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"another dense watch uses the state in {folder}: stop it or give another --state"
        ) from error
    except OSError as error:
        raise InputError(f"cannot use {folder} as --state: {error.strerror or error}") from error
    return lock
