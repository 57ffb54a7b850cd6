"""The registry's own log: what a watch decides stands beside what the service decides.

Decisions are logged once, by their id: delivered again after a crash, they are found there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dense.errors import InputError
from dense.inspection.ledger import Ledger
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink
from dense.inspection.store.blobs import Blobs
from dense.inspection.store.database import Database
from dense.inspection.store.places import PICTURES, database_url


class LogSink(Sink):
    """Adds decisions to the log of a registry.

    Args:
        home: Folder of the registry.
        keep: Whether to keep the pictures too, so that the page of `dense serve` shows them.
    """

    batch = 64

    def __init__(self, home: Path, *, keep: bool = False) -> None:
        self.home, self.name = home, f"log:{home}"
        self.pictures = ("picture.png",) if keep else ()
        self._blobs = Blobs(home / PICTURES)
        self._ledger: Ledger | None = None

    def deliver(self, messages: Sequence[Message]) -> None:
        try:
            if self._ledger is None:
                self._ledger = Ledger(Database(database_url(self.home)))
            kept = [self._keep(message) for message in messages]
            plain = [
                {name: value for name, value in message.body.items() if name != "sequence"}
                for message in messages
            ]
            told = [(body, picture, None) for body, picture in zip(plain, kept, strict=True)]
            self._ledger.record_plain(told, actor="watch")
        except InputError as error:
            raise DeliveryError(str(error)) from error

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.database.close()
            self._ledger = None

    def _keep(self, message: Message) -> str | None:
        data = message.pictures.get("picture.png")
        return None if data is None else self._blobs.put(data)


def build(address: Address) -> LogSink:
    """``log:HOME``."""
    return LogSink(Path(address.target).expanduser(), keep=address.flag("pictures"))
