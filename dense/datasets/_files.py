"""File look-ups shared by the folder data sets."""

from __future__ import annotations

import json
from pathlib import Path

from dense.errors import InputError
from dense.images import IMAGE_SUFFIXES


def require_directory(path: Path, what: str) -> Path:
    """Return `path` if it is a directory.

    Raises:
        InputError: If it is not there or is a file.
    """
    if not path.is_dir():
        found = "is a file" if path.exists() else "does not exist"
        raise InputError(f"{what} {path} {found}: expected a directory")
    return path


def pictures(directory: Path, *, recursive: bool = False) -> list[Path]:
    """Picture files of a directory, sorted by path; an empty list if there are none."""
    entries = directory.rglob("*") if recursive else directory.iterdir()
    return sorted(p for p in entries if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())


def by_stem(directory: Path, *, recursive: bool = False) -> dict[str, Path]:
    """Pictures of a directory by their path below it, without suffix.

    Raises:
        InputError: If two pictures differ in their suffix alone.
    """
    found: dict[str, Path] = {}
    for path in pictures(directory, recursive=recursive):
        stem = path.relative_to(directory).with_suffix("").as_posix()
        if stem in found:
            raise InputError(
                f"{found[stem]} and {path.name} share a name: it is not clear which one belongs to "
                "which mask; rename or remove one"
            )
        found[stem] = path
    return found


def read_json(path: Path, expected: str) -> dict[str, object]:
    """Read a JSON object.

    Args:
        path: The file.
        expected: What it should hold, for the error message.

    Raises:
        InputError: If it is missing, not JSON, or not an object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"no such file: {path}; expected {expected}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; expected {expected}") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path} is not valid JSON (line {error.lineno}: {error.msg}); expected {expected}"
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            f"{path} must hold a JSON object, got a {type(content).__name__}; expected {expected}"
        )
    return content
