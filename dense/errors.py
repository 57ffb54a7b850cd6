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


class UnknownNameError(InputError):
    """A name that is not among the known ones."""


class TooManyPixelsError(InputError):
    """A picture that is larger than what is read."""


class ConflictError(InputError):
    """A change that does not fit what there is by now: a taken name, somebody who was faster."""


class StoreError(InputError):
    """A database or disk that cannot be used at the moment."""


class MissingDependencyError(DenseError, ImportError):
    """An optional package is needed for what was asked."""


class NotFittedError(DenseError, RuntimeError):
    """`predict` was called before `fit` on a method that needs support images."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Build the error for a name that is not among the known ones, with the nearest of them.

    Args:
        kind: What the name stands for, e.g. ``"model"``.
        name: The name that was given.
        known: The names that exist.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4) or names[:8]
    nearest = ", ".join(near)
    return UnknownNameError(f"unknown {kind} {name!r}: the nearest known names are {nearest}")
