"""HTTP POST of the decision, signed as Standard Webhooks say (standardwebhooks.com, version 1).

Headers: ``webhook-id`` (the decision's id), ``webhook-timestamp`` (seconds), and with a secret
``webhook-signature: v1,BASE64`` = HMAC-SHA256 over ``id.timestamp.body``. A receiver takes each id
once and refuses old timestamps.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from dense import __version__
from dense.errors import InputError
from dense.inspection.sinks.address import Address
from dense.inspection.sinks.base import DeliveryError, Message, Sink

_PASSING = {408, 409, 421, 423, 425, 429}
"""Answers of the 400s that say: not now. Those of the 500s do, too."""


class WebhookSink(Sink):
    """Posts one decision at a time.

    A 2xx answer means taken. 5xx, time-outs and no answer are tried again; any other answer,
    redirects included, means that it will never be taken, and the decision is set aside.

    Args:
        url: http or https.
        secret: Key of the signature; ``None`` sends none.
        token: Sent as ``Authorization: Bearer …``.
        timeout: Seconds to wait for the answer.
        clock: Seconds since 1970, for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        secret: bytes | None = None,
        token: str | None = None,
        timeout: float = 10.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.url, self.name = url, url
        self._secret, self._token = secret, token
        self.timeout, self.clock = timeout, clock
        self._opener = urllib.request.build_opener(_NoRedirect)

    def deliver(self, messages: Sequence[Message]) -> None:
        done = 0
        try:
            for message in messages:
                self._post(message)
                done += 1
        except DeliveryError as error:
            error.done = done
            raise

    def _post(self, message: Message) -> None:
        data = message.text.encode()
        request = urllib.request.Request(self.url, data, self._headers(message.id, data))
        try:
            with self._opener.open(request, timeout=self.timeout) as answer:
                answer.read(1 << 16)
        except urllib.error.HTTPError as error:
            passing = error.code >= 500 or error.code in _PASSING
            text = f"the receiver answers {error.code} {error.reason}"
            error.close()
            raise DeliveryError(text, refused=not passing) from error
        except urllib.error.URLError as error:
            raise DeliveryError(f"no answer: {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise DeliveryError(f"no answer: {error or type(error).__name__}") from error

    def _headers(self, name: str, data: bytes) -> dict[str, str]:
        stamp = str(int(self.clock()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"dense/{__version__}",
            "webhook-id": name,
            "webhook-timestamp": stamp,
        }
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, name, stamp, data)
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return headers


def sign(secret: bytes, name: str, stamp: str, data: bytes) -> str:
    """Signature of a body: ``v1,`` and the base64 of HMAC-SHA256 over ``name.stamp.data``."""
    digest = hmac.new(secret, f"{name}.{stamp}.".encode() + data, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def read_secret(text: str) -> bytes:
    """Key of the signature: base64 behind ``whsec_``, any other text as it is.

    Raises:
        InputError: If what follows ``whsec_`` is no base64.
    """
    if not text.startswith("whsec_"):
        return text.encode()
    try:
        return base64.b64decode(text[6:], validate=True)
    except binascii.Error as error:
        raise InputError("the webhook secret is no base64 behind whsec_") from error


def build(address: Address) -> WebhookSink:
    """``webhook:URL``; options ``timeout``; secrets ``WEBHOOK_SECRET``, ``WEBHOOK_TOKEN``."""
    parts = urlsplit(address.target)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"a webhook is written webhook:https://host/path, got {address.name!r}")
    secret, token = address.secret("SECRET"), address.secret("TOKEN")
    if token and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1"):
        raise InputError(f"{address.target}: a token is sent over https only")
    return WebhookSink(
        address.target,
        secret=None if secret is None else read_secret(secret),
        token=token,
        timeout=address.number("timeout", 10, 0.1, 600),
    )


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect of a POST would become a GET, and could lead anywhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        return None
