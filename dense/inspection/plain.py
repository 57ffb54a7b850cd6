"""Plain values (JSON) read with checks: each reader raises `InputError` for another form."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence

from dense.errors import InputError

_SHA256 = re.compile(r"[0-9a-f]{64}")


def read_sha256(value: object) -> str:
    """A digest from plain values.

    Raises:
        InputError: If it is none.
    """
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise InputError(
            f"a SHA-256 has 64 lower-case hexadecimal letters, got {str(value)[:80]!r}"
        )
    return value


def digest(content: Mapping[str, object]) -> bytes:
    """The one spelling of plain values, for hashes and signatures."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def read_number(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"expected a finite number, got {str(value)[:80]!r}")
    return float(value)


def read_entry(value: object) -> Mapping[str, object]:
    """An object."""
    if not isinstance(value, dict):
        raise InputError(f"expected an object, got {str(value)[:80]!r}")
    return value


def read_entries(value: object) -> list[Mapping[str, object]]:
    """A list of objects."""
    return [read_entry(entry) for entry in read_list(value)]


def read_list(value: object) -> Sequence[object]:
    """A list."""
    if not isinstance(value, list):
        raise InputError(f"expected a list, got {str(value)[:80]!r}")
    return value


def read_words(value: object) -> tuple[str, ...]:
    """A list as words."""
    return tuple(str(word) for word in read_list(value))


def read_numbers(value: object) -> dict[str, float]:
    """Numbers by name."""
    return {str(name): read_number(entry) for name, entry in read_entry(value).items()}


def read_lists(value: object) -> dict[str, tuple[float, ...]]:
    """Lists of numbers by name."""
    return {
        str(name): tuple(read_number(entry) for entry in read_list(entries))
        for name, entries in read_entry(value).items()
    }
