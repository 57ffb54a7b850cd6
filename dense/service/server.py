"""The processes of the service: uvicorn, its workers, TLS, time limits for heads of requests."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.supervisors import Multiprocess

from dense.errors import InputError
from dense.service.logs import log_config
from dense.service.settings import Settings

Factory = Callable[[], FastAPI]


@dataclass(frozen=True)
class Place:
    """Where the service listens.

    Attributes:
        host: Address.
        port: Port, 0 for any that is free.
        workers: Processes.
        certificate: PEM file of the certificate chain, for HTTPS.
        key: PEM file of its key.
        proxies: Addresses whose X-Forwarded-For and -Proto are believed, "" for none.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    certificate: Path | None = None
    key: Path | None = None
    proxies: str = ""


class Protocol(H11Protocol):
    """HTTP/1.1 that does not wait for ever for the head of a request."""

    head_seconds = 10.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._head: asyncio.TimerHandle | None = None
        self._wait_for_head()

    def data_received(self, data: bytes) -> None:
        """Wait on, or no longer."""
        super().data_received(data)
        busy = self.cycle is not None and not self.cycle.response_complete
        if busy:
            self._stop_waiting()
        elif self._head is None:
            self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


def serve(settings: Settings, place: Place, listener: socket.socket) -> None:
    """Run on a listening socket of `bind` until SIGTERM or SIGINT.

    Raises:
        InputError: If the port or the certificate cannot be used.
    """
    config = make_config(settings, place)
    if place.workers == 1:
        _start(config, listener)
        return
    with tempfile.TemporaryDirectory(prefix="dense-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # before the workers import the library
        Multiprocess(config, [listener]).run()


def make_config(
    settings: Settings, place: Place, factory: Factory | None = None, *, log: bool = True
) -> uvicorn.Config:
    """The server's configuration; workers that are started anew get it pickled.

    Args:
        settings: Of the service.
        place: Where it listens.
        factory: Makes the application, by default `make_app`.
        log: Set up logs of this process; a program that has its own leaves them.

    Raises:
        InputError: If the certificate cannot be read.
    """
    Protocol.head_seconds = settings.limits.head_seconds
    for path in (place.certificate, place.key):
        if path is not None and not path.is_file():
            raise InputError(f"no such file: {path}")
    return uvicorn.Config(
        factory or partial(make_app, settings, place.workers),
        factory=True,
        workers=place.workers,
        host=place.host,
        port=place.port,
        ssl_certfile=None if place.certificate is None else str(place.certificate),
        ssl_keyfile=None if place.key is None else str(place.key),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        access_log=False,
        server_header=False,
        proxy_headers=bool(place.proxies),
        forwarded_allow_ips=place.proxies or None,
        limit_concurrency=settings.limits.connections,
        timeout_graceful_shutdown=int(settings.drain_seconds) + 5,
        timeout_worker_healthcheck=60,
        log_config=log_config() if log else None,
    )


def make_app(settings: Settings, workers: int) -> FastAPI:
    """The application of a worker, in its own process."""
    import torch

    from dense.service.app import create_app

    Protocol.head_seconds = settings.limits.head_seconds
    if workers > 1 and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // workers))
    return create_app(settings)


def bind(place: Place) -> socket.socket:
    """Listen.

    Raises:
        InputError: If the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((place.host, place.port))
    except (OSError, OverflowError) as error:
        listener.close()
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot listen on {place.host}:{place.port}: {reason}") from error
    listener.set_inheritable(True)
    return listener


def _start(config: uvicorn.Config, listener: socket.socket) -> None:
    server = uvicorn.Server(config)
    server.run([listener])
    if not server.started:
        raise InputError("the service could not start: see the log above")
