"""Files named by the SHA-256 of their content: written once, never changed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Collection, Iterator
from pathlib import Path

from dense.errors import InputError, UnknownNameError
from dense.outputs import write_bytes

_SHA256 = re.compile(r"[0-9a-f]{64}")
YOUNG = 3600.0
"""Seconds for which an unreferenced file stays: its product may be on its way into the database."""


class Blobs:
    """A folder of files named by their content.

    Args:
        root: The folder; it is made with the first file.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def put(self, data: bytes, *, durable: bool = False) -> str:
        """Keep a file, whole or not at all, and return its SHA-256.

        Args:
            data: Its content.
            durable: Return when it would survive a power failure.

        Raises:
            InputError: If the place cannot be written.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        place = self._place(sha256)
        if place.is_file() and place.stat().st_size == len(data):
            place.touch()
        else:
            write_bytes(place, data, durable=durable)
        return sha256

    def get(self, sha256: str) -> bytes:
        """The content of a file.

        Raises:
            UnknownNameError: If it is missing.
            InputError: If it is no longer what it was.
        """
        place = self._place(sha256)
        try:
            data = place.read_bytes()
        except OSError as error:
            raise UnknownNameError(
                f"a file is missing: {place}; restore it, or import or create the product anew"
            ) from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise InputError(
                f"a file is damaged: {place}; restore it, or import or create the product anew"
            )
        return data

    def path(self, sha256: str) -> Path:
        """Where a file lies, checked as by `get`."""
        self.get(sha256)
        return self._place(sha256)

    def __contains__(self, sha256: str) -> bool:
        """Whether there is a file; its content is not looked at."""
        return self._place(sha256).is_file()

    def __iter__(self) -> Iterator[str]:
        """SHA-256 of all files."""
        for place in self.root.glob("??/*"):
            if _SHA256.fullmatch(place.name):
                yield place.name

    def collect(self, used: Collection[str], *, young: float = YOUNG) -> int:
        """Remove files that nobody uses and that are older than `young` seconds.

        Returns:
            The bytes that were freed.
        """
        freed, limit = 0, time.time() - young
        for sha256 in list(self):
            place = self._place(sha256)
            if sha256 in used:
                continue
            try:
                status = place.stat()
                if status.st_mtime <= limit:
                    place.unlink()
                    freed += status.st_size
            except FileNotFoundError:  # another process collects too
                continue
        return freed

    def _place(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise InputError(f"a SHA-256 has 64 lower-case hexadecimal letters, got {sha256!r}")
        return self.root / sha256[:2] / sha256
