"""The log as a file, and heads that were written down: verified without a database."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from dense.errors import InputError
from dense.inspection.ledger.chain import Entry, Head
from dense.inspection.ledger.rows import COLUMNS
from dense.inspection.ledger.verify import Progress, Verification, pages, verify_entries
from dense.inspection.store.database import Database


def verify_file(
    path: str | Path, head: Head | None = None, progress: Progress | None = None
) -> Verification:
    """Verify an exported log, without a database.

    Raises:
        InputError: If the file cannot be read.
    """
    try:
        with Path(path).open(encoding="utf-8", errors="surrogateescape") as lines:
            return verify_entries(_read_lines(lines), head, progress)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def export_lines(database: Database) -> Iterator[str]:
    """The log as JSON lines, body as text, for `verify_file`."""
    with database.read() as connection:
        for page in pages(connection):
            for entry in page:
                yield _line(entry)


def read_head(given: str) -> Head:
    """A known head: 64 hexadecimal letters, or a file that `Verification.to_json` was kept in.

    Raises:
        InputError: If it is neither.
    """
    try:
        content = json.loads(Path(given).read_text(encoding="utf-8"))
        seq, known = content["entries"], content["head_hash"]
        return Head(int(seq), _hash(known))
    except FileNotFoundError:
        return Head(None, _hash(given))
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{given} holds no known head: give the JSON file of an earlier dense verify-log, or "
            "the hash itself"
        ) from error


def _line(entry: Entry) -> str:
    return json.dumps(entry.to_row(), ensure_ascii=False) + "\n"


def _read_lines(lines: Iterable[str]) -> Iterator[Entry]:
    for number, line in enumerate(lines, start=1):
        yield _read_line(line, number)


def _read_line(line: str, number: int) -> Entry:
    """A line as an entry; what is none becomes one that no hash fits."""
    try:
        row = json.loads(line)
        whole = isinstance(row, dict) and set(row) == set(COLUMNS)
        texts = whole and all(isinstance(row[name], str) for name in COLUMNS if name != "seq")
        if texts and type(row["seq"]) is int:
            entry = Entry(*(row[name] for name in COLUMNS))
            if _line(entry) == line:  # one spelling: no second reading by another parser
                return entry
    except (ValueError, RecursionError):
        pass
    return Entry(number, "", "", "", "", "", "", "")


def _hash(value: object) -> str:
    known = str(value).strip().lower()
    if len(known) != 64 or set(known) - set("0123456789abcdef"):
        raise InputError(
            f"a head is a hash of 64 hexadecimal letters, or the JSON file of an earlier "
            f"dense verify-log, got {known[:80]!r}"
        )
    return known
