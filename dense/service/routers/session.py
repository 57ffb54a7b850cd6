"""Sessions of the page: a key is given once, a cookie stands for it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from dense.service.auth import CoreDep, cookie_name, note_refused, who_asks
from dense.service.errors import ForbiddenError, UnauthorizedError
from dense.service.keys import SESSION_SECONDS, Who, csrf_token
from dense.service.models.common import Login, Session
from dense.service.routers.shared import PROBLEMS

router = APIRouter(prefix="/api/v1/session", tags=["session"], responses=PROBLEMS)


@router.post("")
def sign_in(body: Login, request: Request, response: Response, core: CoreDep) -> Session:
    """Open a session with a key."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        note_refused(request, core, "sign-in from another site")
        raise ForbiddenError("sign in on the service's own page")
    who = core.keys.check(body.key)
    if who is None:
        note_refused(request, core, "wrong key")
        raise UnauthorizedError("the key is not known, or was revoked")
    cookie = core.keys.open_session(who)
    response.set_cookie(
        cookie_name(core),
        cookie,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        secure=core.settings.secure,
        path="/",
    )
    return Session(role=who.role.value, name=who.name, csrf=csrf_token(cookie))


@router.get("")
def who_am_i(request: Request, core: CoreDep, who: Annotated[Who, Depends(who_asks)]) -> Session:
    """Say whose session or key it is."""
    cookie = request.cookies.get(cookie_name(core), "")
    return Session(role=who.role.value, name=who.name, csrf=csrf_token(cookie) if cookie else "")


@router.delete("", status_code=204)
def sign_out(
    request: Request, response: Response, core: CoreDep, _: Annotated[Who, Depends(who_asks)]
) -> None:
    """Close the session."""
    core.keys.close_session(request.cookies.get(cookie_name(core), ""))
    response.delete_cookie(cookie_name(core), path="/", secure=core.settings.secure, httponly=True)
