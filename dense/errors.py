"""Errors that a user can cause and mend.

Every message is one sentence: what is wrong, what was expected, what came, how to mend it. The
command line prints the message alone and ends with exit code 2; other exceptions are bugs.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class DenseError(Exception):
    """Base class of all errors raised on purpose by this package."""


class InputError(DenseError, ValueError):
    """A value, file or option that cannot be used as given."""


class MissingDependencyError(DenseError, ImportError):
    """An optional package is needed for what was asked."""


class NotFittedError(DenseError, RuntimeError):
    """`predict` was called before `fit` on a method that needs support images."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Build the error for a name that is not among the known ones, with the nearest of them.

    Args:
        kind: What the name stands for, e.g. ``"model"``.
        name: The name that was given.
        known: The names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:8]
    return InputError(f"unknown {kind} {name!r}: the nearest known names are {', '.join(near)}")
