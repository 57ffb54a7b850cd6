"""Who asks: a key in the header, or a session of the page with its CSRF token."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials

from dense.service.core import Core
from dense.service.errors import ForbiddenError, UnauthorizedError
from dense.service.keys import Right, Who, csrf_token

COOKIE, SECURE_COOKIE = "dense-session", "__Host-dense-session"
_SAFE = ("GET", "HEAD", "OPTIONS")
_BEARER = HTTPBearer(auto_error=False, description="A key of `dense serve-key add`.")
_COOKIE = APIKeyCookie(name=COOKIE, auto_error=False, description="A session of the page.")
_CSRF = APIKeyHeader(
    name="X-CSRF-Token", auto_error=False, description="Of the session; for changes by cookie."
)


def get_core(request: Request) -> Core:
    """The worker's core."""
    core: Core = request.app.state.core
    return core


CoreDep = Annotated[Core, Depends(get_core)]


def cookie_name(core: Core) -> str:
    """Name of the session's cookie; browsers guard the prefix on HTTPS."""
    return SECURE_COOKIE if core.settings.secure else COOKIE


def who_asks(
    request: Request,
    core: CoreDep,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)] = None,
    _cookie: Annotated[str | None, Security(_COOKIE)] = None,
    csrf: Annotated[str | None, Security(_CSRF)] = None,
) -> Who:
    """Check the key or the session.

    Raises:
        HTTPError: 401 without a right one, 403 for a change without its CSRF token.
    """
    if bearer is not None:
        who = core.keys.check(bearer.credentials)
        if who is None:
            note_refused(request, core, "wrong key")
            raise UnauthorizedError("the key is not known, or was revoked")
        return who
    cookie = request.cookies.get(cookie_name(core))
    if not cookie:
        raise UnauthorizedError(
            "a key is needed: Authorization: Bearer KEY, with a key of dense serve-key add"
        )
    who = core.keys.check_session(cookie)
    if who is None:
        note_refused(request, core, "wrong session")
        raise UnauthorizedError("the session is over: sign in again")
    if request.method not in _SAFE and not hmac.compare_digest(
        (csrf or "").encode(), csrf_token(cookie).encode()
    ):
        note_refused(request, core, "missing CSRF token", who)
        raise ForbiddenError("a change needs the X-CSRF-Token of the session")
    return who


def need(right: Right) -> Callable[..., Who]:
    """A dependency: somebody who has a right."""

    def check(request: Request, core: CoreDep, who: Annotated[Who, Depends(who_asks)]) -> Who:
        if not who.may(right):
            note_refused(request, core, "role", who)
            raise ForbiddenError(f"the role {who.role.value} may not do this")
        request.state.who = who
        return who

    return check


def note_refused(request: Request, core: Core, what: str, who: Who | None = None) -> None:
    """Write a refused request into the log."""
    core.guard.note(
        what,
        path=f"{request.method} {request.url.path}",
        address=request.client.host if request.client else "",
        request_id=request.scope.get("request_id", ""),
        actor="" if who is None else who.actor,
    )


Reader = Annotated[Who, Depends(need(Right.read))]
Worker = Annotated[Who, Depends(need(Right.work))]
Engineer = Annotated[Who, Depends(need(Right.change))]
Auditor = Annotated[Who, Depends(need(Right.audit))]
