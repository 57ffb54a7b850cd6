"""Numbers, logs and counts requests; an unexpected error becomes a plain 500."""

from __future__ import annotations

import logging
import re
import secrets
import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dense.service import metrics
from dense.service.answers import problem
from dense.service.keys import Who

_LOG = logging.getLogger("dense.service.requests")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_QUIET = ("/health", "/metrics")


class Requests:
    """Numbers requests, notes what came of them.

    Args:
        app: The next one.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        begun, status = time.perf_counter(), 0
        name = scope["request_id"] = _name(scope)
        scope.setdefault("state", {})

        async def tell(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"x-request-id", name.encode())]
            await send(message)

        try:
            await self.app(scope, receive, tell)
        except Exception:
            _LOG.exception("request failed", extra={"request_id": name})
            if status:
                raise
            await problem(500, "an unexpected error: see the service's log", name)(
                scope, receive, tell
            )
        finally:
            _note(scope, name, status, time.perf_counter() - begun)


def _note(scope: Scope, name: str, status: int, seconds: float) -> None:
    route = getattr(scope.get("route"), "path", "other")
    metrics.REQUESTS.labels(scope["method"], route, str(status)).inc()
    if route != "/api/v1/events":
        metrics.SECONDS.labels(route).observe(seconds)
    if scope["path"].startswith(_QUIET) and status < 400:
        return
    who = scope["state"].get("who")
    client = scope.get("client")
    _LOG.info(
        "request",
        extra={
            "request_id": name,
            "method": scope["method"],
            "path": scope["path"][:300],
            "status": status,
            "seconds": round(seconds, 4),
            "client": client[0] if client else "",
            "actor": who.actor if isinstance(who, Who) else "",
        },
    )


def _name(scope: Scope) -> str:
    """The client's own number, if it is a plain one, or a new one."""
    given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
    return given if _ID.fullmatch(given) else secrets.token_hex(8)
