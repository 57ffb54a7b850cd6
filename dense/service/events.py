"""Live events: what is written into the log, told to whoever listens.

The log itself is the queue: a listener has a place in it and reads on from there, so one that was
away misses nothing, and entries of other workers come the same way.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping

from dense.errors import DenseError
from dense.inspection.ledger import Entry, Ledger
from dense.service import metrics
from dense.service.errors import BusyError

LOOK, SILENCE = 0.5, 15.0
"""Seconds between looks at the log, and after which a comment keeps the connection open."""
_PAGE = 100
_TOLD = ("decision", "product", "feedback", "feedback-undone", "drift")

Show = Callable[[Entry], Mapping[str, object] | None]


class Events:
    """The listeners of a worker.

    Args:
        ledger: The log.
        most: Listeners at a time.
    """

    def __init__(self, ledger: Ledger, *, most: int = 64) -> None:
        self.ledger, self.most = ledger, most
        self.ending = False
        self._listeners = 0

    def join(self) -> None:
        """Count a listener, see `leave`.

        Raises:
            BusyError: If there are too many.
        """
        if self._listeners >= self.most or self.ending:
            raise BusyError(f"{self._listeners} event streams are open: close one", retry_after=30)
        self._listeners += 1
        metrics.LISTENERS.set(self._listeners)

    def leave(self) -> None:
        """The reverse."""
        self._listeners -= 1
        metrics.LISTENERS.set(self._listeners)

    async def stream(self, after: int | None, show: Show) -> AsyncIterator[bytes]:
        """Server-sent events, until the service ends.

        Args:
            after: Place in the log that the listener has read; ``None`` begins with what is new.
            show: The data of an entry, ``None`` to leave it out.
        """
        place = await self._head() if after is None else after
        yield b"retry: 2000\n\n"
        silent = 0.0
        while not self.ending:
            try:
                head = await self._head()
                entries = await asyncio.to_thread(self._after, place) if head > place else []
            except DenseError:  # the database is away: it comes back
                entries = []
            for entry in entries:
                place = entry.seq
                data = await asyncio.to_thread(show, entry) if entry.kind in _TOLD else None
                if data is not None:
                    yield _event(entry, data)
                    silent = 0.0
            if len(entries) < _PAGE:
                await asyncio.sleep(LOOK)
                silent += LOOK
            if silent >= SILENCE:
                yield b": still here\n\n"
                silent = 0.0

    async def _head(self) -> int:
        head = await asyncio.to_thread(self.ledger.head)
        return head.seq or 0

    def _after(self, place: int) -> list[Entry]:
        return list(self.ledger.entries(after=place, limit=_PAGE))


def _event(entry: Entry, data: Mapping[str, object]) -> bytes:
    text = json.dumps(data, ensure_ascii=False)
    return f"id: {entry.seq}\nevent: {entry.kind}\ndata: {text}\n\n".encode()
