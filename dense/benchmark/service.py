"""The service around the judge: overhead, batching, latency under load, the page.

The same model on the same pictures, in the same process and minute: called by itself, and behind
HTTP with every picture kept durably, every decision logged and every map kept.
"""

from __future__ import annotations

import http.client
import io
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.benchmark import Row

if TYPE_CHECKING:
    from dense.inspection.judge import Judge
    from dense.service.core import Core

CLIENTS = 16
"""Twice a batch: the next one is taken in while one is judged."""
BATCH = 8
_SIDE = 224


def measure_service(quick: bool) -> list[Row]:
    """All rows of the section ``service``, with the packaged model also if `quick`."""
    count, rounds = (16, 1) if quick else (48, 3)
    with tempfile.TemporaryDirectory() as home, _served(Path(home)) as (core, port, key):
        judge = core.workshop.judge("part")
        files = [_jpeg(_part(seed)) for seed in range(CLIENTS)]
        ask = _Clients(port, key, files)
        ask.run(CLIENTS)  # everything is loaded and warm
        batched, single, bare = [], [], []
        for _ in range(rounds):
            bare.append(_bare(judge, files, count))
            batched.append(ask.run(count))
            core.judging.batcher.most = 1
            single.append(ask.run(count))
            core.judging.batcher.most = BATCH
        lone = [ask.one(number) for number in range(count // 4)]
        page = [_get(port, "/") for _ in range(5)]
    return [
        _overhead(bare, batched, None if quick else 1.15),
        _batching(single, batched),
        _latency(batched, lone, bare),
        Row("page, first byte to last", f"{1000 * statistics.median(page):.1f} ms", "", None, None),
    ]


class _Run:
    """Seconds a picture at saturation, and of each request."""

    def __init__(self, seconds: float, requests: Sequence[float]) -> None:
        self.pace, self.requests = seconds / len(requests), list(requests)


class _Clients:
    """Clients that each keep a connection and wait for their decisions."""

    def __init__(self, port: int, key: str, files: Sequence[bytes]) -> None:
        self.port, self.files = port, files
        self.head = {"Authorization": f"Bearer {key}", "Content-Type": "image/jpeg"}

    def run(self, count: int) -> _Run:
        """`CLIENTS` at once, `count` pictures together."""
        requests: list[float] = []
        numbers = iter(range(count))
        lock = threading.Lock()

        def work() -> None:
            link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                seconds = self._ask(link, number)
                with lock:
                    requests.append(seconds)

        threads = [threading.Thread(target=work) for _ in range(CLIENTS)]
        begun = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return _Run(time.perf_counter() - begun, requests)

    def one(self, number: int) -> float:
        """Seconds of a request without others."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)
        return self._ask(link, number)

    def _ask(self, link: http.client.HTTPConnection, number: int) -> float:
        begun = time.perf_counter()
        path = "/api/v1/products/part/inspect"
        link.request("POST", path, self.files[number % len(self.files)], self.head)
        answer = link.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the service answered {answer.status}: {body[:200]!r}")
        return time.perf_counter() - begun


def _bare(judge: Judge, files: Sequence[bytes], count: int) -> float:
    """Seconds a picture of the judge alone, on decoded pictures in full batches."""
    images = [np.asarray(Image.open(io.BytesIO(data))) for data in files]
    chosen = [images[number % len(images)] for number in range(count)]
    begun = time.perf_counter()
    judge.judge_batch(chosen, ["bare"] * count, ["0" * 64] * count)
    return (time.perf_counter() - begun) / count


def _overhead(bare: Sequence[float], batched: Sequence[_Run], bar: float | None) -> Row:
    ratio = statistics.median(run.pace / one for run, one in zip(batched, bare, strict=True))
    ours = f"{1000 * statistics.median(run.pace for run in batched):.0f} ms"
    peer = f"{1000 * statistics.median(bare):.0f} ms"
    note = f"seconds a picture, {CLIENTS} clients; durable, logged, maps kept; peer: judge alone"
    return Row("service at saturation", ours, peer, ratio, bar, note)


def _batching(single: Sequence[_Run], batched: Sequence[_Run]) -> Row:
    ratio = statistics.median(a.pace / b.pace for a, b in zip(single, batched, strict=True))
    rates = [1 / statistics.median(run.pace for run in runs) for runs in (batched, single)]
    note = "pictures a second; ratio above 1: batching is faster; it depends on the device"
    return Row("batching", f"{rates[0]:.2f}/s", f"{rates[1]:.2f}/s one by one", ratio, None, note)


def _latency(batched: Sequence[_Run], lone: Sequence[float], bare: Sequence[float]) -> Row:
    every = [seconds for run in batched for seconds in run.requests]
    p50, p99 = np.quantile(every, [0.5, 0.99])
    alone = statistics.median(lone)
    note = f"p99 {1000 * p99:.0f} ms with {CLIENTS} clients; a lone request {1000 * alone:.0f} ms"
    peer = f"{1000 * statistics.median(bare):.0f} ms"
    return Row("latency p50", f"{1000 * p50:.0f} ms", peer, None, None, note)


def _get(port: int, path: str) -> float:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    begun = time.perf_counter()
    link.request("GET", path)
    link.getresponse().read()
    return time.perf_counter() - begun


@contextmanager
def _served(home: Path) -> Iterator[tuple[Core, int, str]]:
    """A service in this process, with a product; its port and a key."""
    import uvicorn

    from dense.inspection.order import Order
    from dense.inspection.store.registry import Registry
    from dense.inspection.workshop import Workshop
    from dense.service.app import create_app
    from dense.service.core import Core
    from dense.service.keys import Role
    from dense.service.server import Place, bind, make_config
    from dense.service.settings import Limits, Settings

    settings = Settings(home=home, batch=BATCH, limits=replace(Limits(), waiting=256, per_key=256))
    core = Core(settings, Workshop(Registry(home)))
    support = [(f"{seed}.png", _part(seed)) for seed in range(100, 104)]
    core.workshop.create(Order("part", method="patch"), support)
    core.workshop.calibrate("part", threshold=0.5)
    key, _ = core.keys.add("benchmark", Role.operator)
    place = Place(port=0)
    listener = bind(place)
    config = make_config(settings, place, lambda: create_app(settings, core), log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    while not server.started or not core.warm.is_set():
        time.sleep(0.05)
    try:
        yield core, listener.getsockname()[1], key
    finally:
        server.should_exit = True
        thread.join(60)


def _part(seed: int) -> NDArray[np.uint8]:
    """A made-up part: the same picture under other noise."""
    still = np.random.default_rng(7).integers(60, 200, (_SIDE // 8, _SIDE // 8, 3))
    big = np.kron(still, np.ones((8, 8, 1)))
    noise = np.random.default_rng(seed).normal(0, 6, big.shape)
    return np.clip(big + noise, 0, 255).astype(np.uint8)


def _jpeg(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="JPEG", quality=95)
    return stream.getvalue()
