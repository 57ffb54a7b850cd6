"""Bodies are counted and timed while they come; who has no key gets none read."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dense.errors import DenseError
from dense.service.answers import tell
from dense.service.errors import HTTPError, SlowError, TooLargeError
from dense.service.settings import Limits

Known = Callable[[Scope], Awaitable[bool]]
Refused = Callable[[Scope, str], Awaitable[None]]
SETS = 10
"""Times as long may a body with many pictures take."""
DRAIN_BYTES, DRAIN_SECONDS = 8 << 20, 5.0
"""Of a body that is too large, that are still read so that the sender hears of it."""
_PICTURE = re.compile(
    r"/api/v1/(products/[^/]+/inspect|playground/\w+)"
    r"|/2020-11-20/projects/[^/]+/(models/[^/]+/detect|datasets/[^/]+/entries)"
)
_SET = re.compile(r"/api/v1/products(/import|/[^/]+/calibrate)?")


class Bodies:
    """The limits.

    Args:
        app: The next layer.
        limits: What is refused.
        known: Whether a request carries a right key or session.
        refused: Notes a request that was refused.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits, known: Known, refused: Refused) -> None:
        self.app, self.limits, self.known, self.refused = app, limits, known, refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return await self.app(scope, receive, send)
        most, seconds = self._limits(scope["path"])
        body = _Body(receive, send, most, seconds)
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > most:
            body.problem = body.too_large()
        elif most > self.limits.other_bytes and not await self.known(scope):
            await self.app(scope, _empty, send)  # it answers 401 before it looks at the body
            return
        else:
            try:
                await self.app(scope, body.receive, body.send)
            except HTTPError as error:
                if body.problem is not error:
                    raise
        if body.problem is not None and not body.started:
            await self.refused(scope, "oversize body" if body.large else "slow upload")
            await body.drain()
            answer = tell(body.problem, scope.get("request_id", ""))
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)

    def _limits(self, path: str) -> tuple[int, float]:
        limits = self.limits
        if _PICTURE.fullmatch(path):
            return limits.picture_bytes, limits.upload_seconds
        if _SET.fullmatch(path):
            return limits.set_bytes, SETS * limits.upload_seconds
        return limits.other_bytes, limits.upload_seconds


class _Body:
    """A body on its way, and the answer, which a problem with the body replaces."""

    def __init__(self, receive: Receive, send: Send, most: int, seconds: float) -> None:
        self._receive, self._send = receive, send
        self.most, self.seconds = most, seconds
        self.until = time.monotonic() + seconds
        self.read, self.done, self.started, self.large = 0, False, False, False
        self.more = True
        self.problem: DenseError | None = None

    async def receive(self) -> Message:
        """The next part."""
        if self.done:
            return await self._receive()
        left = self.until - time.monotonic()
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, left))
        except asyncio.TimeoutError:
            self.done = True
            self.problem = SlowError(
                f"the body did not come within {self.seconds:g} seconds: send it faster, or less"
            )
            raise self.problem from None
        self.read += len(message.get("body", b""))
        self.more = bool(message.get("more_body", False))
        self.done = not self.more
        if self.read > self.most:
            self.done = True
            self.problem = self.too_large()
            raise self.problem
        return message

    async def drain(self) -> None:
        """Let a body that is a little too large come, unkept: else its sender misses the answer."""
        read, until = 0, min(self.until, time.monotonic() + DRAIN_SECONDS)
        while self.large and self.more and read < DRAIN_BYTES:
            left = max(0.0, until - time.monotonic())
            try:
                message = await asyncio.wait_for(self._receive(), left)
            except asyncio.TimeoutError:
                return
            read += len(message.get("body", b""))
            self.more = bool(message.get("more_body", False))

    async def send(self, message: Message) -> None:
        """The answer, unless a problem takes its place."""
        if self.problem is not None and not self.started:
            return
        self.started = True
        await self._send(message)

    def too_large(self) -> TooLargeError:
        """The body is."""
        self.large = True
        return TooLargeError(
            f"the body is larger than the {self.most / 2**20:g} MiB that are taken here"
        )


async def _empty() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}
