"""Bodies that are too large, too slow, or nobody's; driven without a network."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from dense.service.middleware.bodies import Bodies
from dense.service.settings import Limits
from tests.service.made import run

LIMITS = Limits(picture_bytes=100, set_bytes=1000, other_bytes=10, upload_seconds=0.1)
PICTURE = "/api/v1/products/nut/inspect"


@dataclass
class Heard:
    """What came through."""

    body: bytes = b""
    status: int = 0
    answer: dict[str, str] = field(default_factory=dict)
    headers: dict[bytes, bytes] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    sent: int = -1  # parts that are left


def ask(
    path: str,
    parts: list[bytes],
    *,
    known: bool = True,
    pause: float = 0.0,
    length: str | None = None,
    swallow: bool = False,
) -> Heard:
    """Send a body in parts and note what the application and the client see."""
    heard, left = Heard(), list(parts)

    async def receive() -> dict[str, object]:
        await asyncio.sleep(pause)
        part = left.pop(0)
        heard.sent = len(left)
        return {"type": "http.request", "body": part, "more_body": bool(left)}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            heard.status = int(str(message["status"]))
            heard.headers = dict(message["headers"])  # type: ignore[call-overload]
        else:
            heard.answer = json.loads(bytes(message["body"]))  # type: ignore[call-overload]

    async def app(scope: object, receive: Callable, send: Callable) -> None:
        try:
            more = True
            while more:
                message = await receive()
                heard.body += message["body"]
                more = message["more_body"]
            status = 200
        except Exception:
            if not swallow:
                raise
            status = 400  # as a form parser that makes everything its own error
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def is_known(_: object) -> bool:
        return known

    async def note(_: object, what: str) -> None:
        heard.refused.append(what)

    headers = [] if length is None else [(b"content-length", length.encode())]
    scope = {"type": "http", "method": "POST", "path": path, "headers": headers}
    layer = Bodies(app, limits=LIMITS, known=is_known, refused=note)  # type: ignore[arg-type]
    run(layer(scope, receive, send))  # type: ignore[arg-type]
    return heard


def test_a_body_within_the_limit_comes_through() -> None:
    heard = ask(PICTURE, [b"x" * 60, b"y" * 40], length="100")
    assert (heard.status, heard.body, heard.refused) == (200, b"x" * 60 + b"y" * 40, [])


@pytest.mark.parametrize("swallow", [False, True])
def test_one_that_grows_too_large_is_cut_off(swallow: bool) -> None:
    heard = ask(PICTURE, [b"x" * 60, b"y" * 41, b"never"], swallow=swallow)
    assert heard.status == 413 and "larger" in heard.answer["error"] and len(heard.body) == 60
    assert heard.headers[b"connection"] == b"close" and heard.refused == ["oversize body"]


def test_one_that_says_it_is_too_large_is_not_read_at_all() -> None:
    heard = ask(PICTURE, [b"x"] * 3, length="101")
    assert (heard.status, heard.body, heard.refused) == (413, b"", ["oversize body"])
    assert heard.sent == 0  # it was let come, so that the sender hears the answer
    lied = ask(PICTURE, [b"x" * 101], length="7")
    assert lied.status == 413


@pytest.mark.parametrize("swallow", [False, True])
def test_a_slow_one_is_cut_off(swallow: bool) -> None:
    heard = ask(PICTURE, [b"x"] * 20, pause=0.03, swallow=swallow)
    assert heard.status == 408 and 0 < len(heard.body) < 5 and heard.refused == ["slow upload"]


def test_where_no_pictures_come_less_is_taken() -> None:
    assert ask("/api/v1/session", [b"x" * 11]).status == 413
    assert ask("/api/v1/products/nut/threshold", [b"x" * 11]).status == 413
    assert ask("/api/v1/products", [b"x" * 1000]).status == 200
    assert ask("/api/v1/products/nut/calibrate", [b"x" * 1001]).status == 413
    assert ask("/2020-11-20/projects/p/datasets/train/entries", [b"x" * 101]).status == 413


def test_nobody_s_upload_is_not_read() -> None:
    heard = ask(PICTURE, [b"x" * 90], known=False)
    assert (heard.body, heard.status) == (b"", 200)  # the application says 401 to an empty body
