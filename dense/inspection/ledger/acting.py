"""Who acts: named once around the work, known wherever something is logged."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ACTOR: ContextVar[str | None] = ContextVar("actor", default=None)


@contextmanager
def acting_as(actor: str) -> Iterator[None]:
    """Log what happens inside as done by `actor`; threads that copy the context follow."""
    token = _ACTOR.set(actor)
    try:
        yield
    finally:
        _ACTOR.reset(token)


def who_acts() -> str:
    """Who acts now: by default the user of this machine."""
    return _ACTOR.get() or f"local:{_login()}"


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"
