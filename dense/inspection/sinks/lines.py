"""Files that grow by a line a decision: JSON lines and CSV.

A file is opened anew for every delivery, so it may be moved away at any time (log rotation). A
last line that was cut off by a crash or a full disk is removed before the next is written; its
decision was never marked as delivered and comes again.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from dense.errors import InputError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink

COLUMNS = (
    "sequence",
    "id",
    "product",
    "version",
    "source",
    "content_sha256",
    "judged_at",
    "verdict",
    "score",
    "threshold",
    "reasons",
    "defects",
    "largest_defect",
    "seconds",
)
"""Of the CSV file; ``largest_defect`` is ``x0 y0 x1 y1`` in pixels of the first defect."""


class LinesSink(Sink):
    """Appends lines to a file and waits until they are on the disk.

    Args:
        path: The file; its folder is made.
        as_line: The line of a decision, without its end.
        header: First line of a new file, "" for none.

    Raises:
        InputError: If the path is a folder, or an existing file begins with another header.
    """

    batch = 256

    def __init__(self, path: Path, as_line: Callable[[Message], str], header: str = "") -> None:
        self.path, self.as_line, self.header = path, as_line, header
        self.name = str(path)
        if path.is_dir():
            raise InputError(f"expected a file for results, got a folder: {path}")
        if header and path.is_file() and path.stat().st_size:
            with path.open(encoding="utf-8", errors="replace", newline="") as stream:
                first = stream.readline().rstrip("\r\n")
            if first != header and not header.startswith(first):
                raise InputError(f"{path} has other columns than {header}: give another file")

    def deliver(self, messages: Sequence[Message]) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(self.path, flags, 0o644), "r+b") as stream:
                end = _cut_off(stream)
                lines = [self.header] if self.header and end == 0 else []
                lines += [self.as_line(message) for message in messages]
                try:
                    stream.write("".join(f"{line}\n" for line in lines).encode())
                    stream.flush()
                    os.fsync(stream.fileno())
                except OSError:
                    stream.truncate(end)
                    raise
        except OSError as error:
            raise DeliveryError(f"cannot write {self.path}: {error.strerror or error}") from error


def build(address: Address) -> LinesSink:
    """``jsonl:PATH`` or ``csv:PATH``."""
    path = Path(address.target).expanduser()
    if address.kind == "jsonl":
        return LinesSink(path, lambda message: message.text)
    return LinesSink(path, lambda message: _row(message.body), ",".join(COLUMNS))


def _cut_off(stream: io.BufferedRandom) -> int:
    """Remove a last line without an end; return where to go on."""
    end = stream.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - 65536)
        stream.seek(start)
        last = stream.read(end - start).rfind(b"\n")
        end = start + last + 1
        if last >= 0:
            break
    stream.truncate(end)
    stream.seek(end)
    return end


def _row(body: Mapping[str, object]) -> str:
    defects, reasons = body.get("defects"), body.get("reasons")
    boxes = [entry["box"] for entry in defects] if isinstance(defects, list) else []
    texts = [entry["text"] for entry in reasons] if isinstance(reasons, list) else []
    values = {
        **body,
        "reasons": " ".join(texts),
        "defects": len(boxes),
        "largest_defect": " ".join(map(str, boxes[0])) if boxes else "",
    }
    stream = io.StringIO()
    cells = [_cell(values.get(column)) for column in COLUMNS]
    csv.writer(stream, lineterminator="").writerow(cells)
    return stream.getvalue()


def _cell(value: object) -> object:
    """A cell on one line that no spreadsheet takes for a formula."""
    if not isinstance(value, str):
        return value
    text = " ".join(value.split())
    return f"'{text}" if text[:1] in ("=", "+", "-", "@") else text
