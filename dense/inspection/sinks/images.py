"""Pictures of what did not pass, by day and verdict, each with its decision beside it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from dense.errors import InputError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink
from dense.outputs import write_bytes

PICTURES = ("picture.png", "defects.jpg")


class ImagesSink(Sink):
    """Writes ``DAY/VERDICT/NAME-ID.json``, ``NAME-ID_picture.png`` and ``NAME-ID_defects.jpg``.

    The pictures are encoded anew from their pixels: whatever else stood in the file is not passed
    on. Names hold letters, digits, ``._-`` only. A second delivery writes the same files.

    Args:
        folder: Made if it is not there.
    """

    pictures = PICTURES
    only = frozenset({"reject", "refused"})

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, str(folder)
        if folder.is_file():
            raise InputError(f"expected a folder for pictures, got a file: {folder}")

    def deliver(self, messages: Sequence[Message]) -> None:
        done = 0
        try:
            for message in messages:
                self._write(message)
                done += 1
        except InputError as error:
            raise DeliveryError(str(error), done=done) from error

    def _write(self, message: Message) -> None:
        body = message.body
        day = re.sub(r"[^0-9-]", "", str(body["judged_at"])[:10])
        place = self.folder / day / re.sub(r"[^a-z]", "", str(body["verdict"]))
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", Path(str(body["source"])).stem).lstrip(".")[-60:]
        for name, data in message.pictures.items():
            write_bytes(place / f"{stem}-{message.id}_{name}", data)
        write_bytes(place / f"{stem}-{message.id}.json", f"{message.text}\n".encode())


def build(address: Address) -> ImagesSink:
    """``images:DIR``."""
    return ImagesSink(Path(address.target).expanduser())
