"""Requests of the client: sent again where that is safe, errors as sentences."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import httpx
from pydantic import BaseModel

from dense.errors import DenseError

Shape = TypeVar("Shape", bound=BaseModel)
_AGAIN = (429, 503)
PAUSE = 1.0
"""Seconds before something is tried again, where the service does not say."""


class ServiceError(DenseError):
    """The service refused.

    Attributes:
        status: Of its answer, 0 if none came.
        request_id: To find the request in its log.
    """

    def __init__(self, message: str, status: int = 0, request_id: str = "") -> None:
        super().__init__(message)
        self.status, self.request_id = status, request_id


class Wire:
    """A connection to one service; for the arguments see `dense.service.client.Client`."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout: float,
        patience: float,
        verify: bool | str | Path,
        transport: httpx.BaseTransport | None,
    ) -> None:
        self.patience = patience
        self.http = httpx.Client(
            base_url=f"{url.rstrip('/')}/api/v1/",
            headers={"Authorization": f"Bearer {key}"},
            timeout=timeout,
            verify=_trusted(verify),
            transport=transport,
        )

    def get(self, shape: type[Shape], path: str, **options: object) -> Shape:
        """Read something."""
        return shape.model_validate_json(self.send("GET", path, **options).content)

    def send(self, method: str, path: str, **options: object) -> httpx.Response:
        """Send a request; what was not accepted, or is safe to repeat, is sent again.

        Raises:
            ServiceError: If the service refuses it, or does not answer.
        """
        until = time.monotonic() + self.patience
        headers = options.get("headers")
        safe = method == "GET" or (isinstance(headers, dict) and "Idempotency-Key" in headers)
        while True:
            answer, pause = None, PAUSE
            try:
                answer = self.http.request(method, path, **options)  # type: ignore[arg-type]
            except httpx.TransportError as error:
                if not safe or time.monotonic() + pause > until:
                    raise ServiceError(f"no answer from {self.http.base_url}: {error}") from error
            if answer is not None:
                pause = float(answer.headers.get("Retry-After", PAUSE))
                if answer.status_code not in _AGAIN or time.monotonic() + pause > until:
                    return _checked(answer)
            time.sleep(pause)

    def listen(self, place: str) -> Iterator[tuple[str, str, dict[str, object]]]:
        """Ids, kinds and data of server-sent events after a place, until the stream breaks."""
        headers = {"Last-Event-ID": place} if place else {}
        with self.http.stream("GET", "events", headers=headers, timeout=60.0) as answer:
            if answer.is_error:
                answer.read()
                _checked(answer)
            fields: dict[str, str] = {}
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if line:
                    fields[name] = value
                elif "data" in fields:
                    number, kind = fields.get("id", ""), fields.get("event", "message")
                    yield number, kind, json.loads(fields["data"])
                    fields = {}


def _checked(answer: httpx.Response) -> httpx.Response:
    if not answer.is_error:
        return answer
    try:
        body = answer.json()
        text, name = str(body["error"]), str(body.get("request_id", ""))
    except (ValueError, KeyError, TypeError):
        text, name = f"the service answered {answer.status_code}", ""
    raise ServiceError(text, answer.status_code, name)


def _trusted(verify: bool | str | Path) -> bool | ssl.SSLContext:
    if isinstance(verify, bool):
        return verify
    return ssl.create_default_context(cafile=str(verify))
