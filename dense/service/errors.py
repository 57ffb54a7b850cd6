"""Errors with a status of their own; every other `DenseError` is the sender's mistake, 422."""

from __future__ import annotations

from dense.errors import ConflictError, DenseError, StoreError

__all__ = [
    "BusyError",
    "ConflictError",
    "ForbiddenError",
    "HTTPError",
    "LostError",
    "SlowError",
    "TooLargeError",
    "TooManyError",
    "UnauthorizedError",
    "UnsupportedError",
    "status_of",
]


class HTTPError(DenseError):
    """Carries a status.

    Attributes:
        status: Of the answer.
        retry_after: Seconds after which to try again, ``None`` if that is no use.
    """

    status = 500

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnauthorizedError(HTTPError):
    """No key, or a wrong one."""

    status = 401


class ForbiddenError(HTTPError):
    """The role does not include it, or a CSRF token is missing."""

    status = 403


class LostError(HTTPError):
    """There is no such thing, or no longer."""

    status = 404


class SlowError(HTTPError):
    """The body did not come in time."""

    status = 408


class TooLargeError(HTTPError):
    """The body is too large."""

    status = 413


class UnsupportedError(HTTPError):
    """The body is of another kind."""

    status = 415


class TooManyError(HTTPError):
    """This key asks for too much at once."""

    status = 429


class BusyError(HTTPError):
    """All of the service is busy, or being stopped."""

    status = 503


def status_of(error: DenseError) -> int:
    """The status that tells an error."""
    if isinstance(error, HTTPError):
        return error.status
    if isinstance(error, StoreError):
        return 503
    return 409 if isinstance(error, ConflictError) else 422
