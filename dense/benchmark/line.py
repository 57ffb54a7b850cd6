"""The machinery around the model: outbox throughput, memory of a long watch, batches on Ray.

The judge has no model: it decides at once, or multiplies matrices for a fixed time. What is
measured is the rest.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sqlite3
import subprocess  # nosec B404  # own interpreter, fixed arguments
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.benchmark import Row, pair_row, peak_memory, time_pairs
from dense.images import write_image
from dense.inspection.batch import run_batch
from dense.inspection.batch.work import Receipt
from dense.inspection.decision import Decision, decision_id
from dense.inspection.outbox import Journal
from dense.inspection.secrets import Secrets
from dense.inspection.sinks import Message, Sink, open_sink
from dense.inspection.sources import Picture
from dense.inspection.watch import Watch

Image = NDArray[np.uint8]

_LIKE_A_MODEL = 300
"""Matrix products that take as long as a picture on the embedded model, some 10 GFLOP."""
_GROWTH = 16 * 2**20
"""Bytes that a flat memory may grow by: the allocator's own noise."""


class ModelFree:
    """Passes every picture, after a number of matrix products."""

    def __init__(self, products: int = 0) -> None:
        self.product, self.version, self.products = "part", 1, products
        self._matrix = np.eye(256, dtype=np.float32)

    def judge(self, image: Image, source: str, content_sha256: str) -> Decision:
        """Judge one picture."""
        for _ in range(self.products):
            self._matrix = self._matrix @ np.eye(256, dtype=np.float32)
        name = decision_id(self.product, self.version, source, content_sha256)
        now = datetime.now(timezone.utc)
        return Decision(
            name, self.product, self.version, source, content_sha256, now, "pass", (), 0.1, 0.5
        )

    def judge_batch(
        self, images: Sequence[Image], sources: Sequence[str], content_sha256: Sequence[str]
    ) -> list[Decision]:
        """Judge pictures one by one."""
        return [self.judge(*row) for row in zip(images, sources, content_sha256, strict=True)]


class Frames:
    """A source of made-up pictures."""

    name = "made-up frames"

    def __init__(self, count: int) -> None:
        self.count = count

    def pictures(self, stop: threading.Event) -> Iterator[Picture]:
        """Yield pictures of 480 x 640."""
        for number in range(self.count):
            image = np.full((480, 640, 3), number % 256, np.uint8)
            yield Picture(f"frame-{number}", hashlib.sha256(image.data).hexdigest(), image)

    def counts(self) -> dict[str, int]:
        """Nothing else happens."""
        return {}


class _Taker(Sink):
    batch = 256

    def __init__(self, name: str) -> None:
        self.name = name

    def deliver(self, messages: Sequence[Message]) -> None:
        """Take them."""


def measure_line(quick: bool) -> list[Row]:
    """All rows of the section ``line``."""
    return [_outbox(quick), _memory(quick), _ray(quick)]


def _outbox(quick: bool) -> Row:
    """A watch of frames into two sinks against a bare durable commit a decision."""
    count = 100 if quick else 1000
    with tempfile.TemporaryDirectory() as place:
        folders = (Path(place, str(number)) for number in range(99))

        def ours() -> None:
            watch(next(folders), count, [_Taker("one"), _Taker("two")])

        def peer() -> None:
            next(folders).mkdir()
            database = sqlite3.connect(Path(place, "bare.sqlite"), isolation_level=None)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = FULL")
            database.execute("CREATE TABLE IF NOT EXISTS decision (body TEXT)")
            for found in Frames(count).pictures(threading.Event()):
                database.execute("INSERT INTO decision VALUES (?)", ("x" * 500 + found.source,))
            database.close()

        pairs = time_pairs(ours, peer, 2 if quick else 5)
    rate = count / sorted(pairs.ours)[len(pairs.ours) // 2]
    note = f"{rate:.0f} decisions/s through watch, journal and two sinks"
    return pair_row(f"outbox, {count} decisions", pairs, None, note)


def watch(folder: Path, count: int, sinks: Sequence[Sink]) -> None:
    """Watch made-up frames without a model."""
    journal = Journal(folder)
    try:
        Watch(ModelFree(), Frames(count), journal, sinks, drain=60).run(threading.Event())
    finally:
        journal.close()


def watch_growth(count: int) -> tuple[int, int]:
    """Peak memory in bytes of this process after a tenth of `count` pictures, and after all."""
    peaks = []
    with tempfile.TemporaryDirectory() as place:
        for name, number in (("warm", count // 10), ("long", count)):
            sink = open_sink(f"jsonl:{place}/{name}.jsonl", Secrets())
            watch(Path(place, name), number, [sink])
            peaks.append(peak_memory())
    return peaks[0], peaks[1]


def _memory(quick: bool) -> Row:
    count = 500 if quick else 10_000
    code = f"from dense.benchmark.line import watch_growth; print(*watch_growth({count}))"
    done = subprocess.run(  # nosec B603  # own interpreter, fixed arguments
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    first, last = (int(value) for value in done.stdout.split()[-2:])
    growth = max(0, last - first)
    note = f"peak {first / 2**20:.0f} MiB after a tenth of them, {last / 2**20:.0f} MiB after all"
    name = f"memory of a watch of {count} pictures"
    return Row(name, f"+{growth / 2**20:.1f} MiB", "+16 MiB", growth / _GROWTH, 1.0, note)


def _ray(quick: bool) -> Row:
    """Steady rate of a batch on Ray against the plain loop, on the same cores and files.

    A picture costs about what it does on the embedded model, so that the engines are compared at
    the parts' real length: Ray's work for a part does not grow with it.
    """
    name = "batch on Ray, seconds a picture"
    if importlib.util.find_spec("ray") is None:
        return Row(name, "", "", None, None, "ray is not installed")
    parts, size = (6, 8) if quick else (12, 16)
    with tempfile.TemporaryDirectory() as place:
        for number in range(parts * size):
            write_image(Path(place, "in", f"{number:05d}.png"), np.full((64, 64), 9, np.uint8))
        judge = partial(ModelFree, 1 if quick else _LIKE_A_MODEL)
        pace = {}
        for engine in ("local", "ray"):
            clock = _Clock()
            out = str(Path(place, engine))
            options = {"engine": engine, "part_size": size}
            run_batch(judge, str(Path(place, "in")), out, track=clock.track, **options)  # type: ignore[arg-type]
            pace[engine] = clock.seconds_a_picture()
    ours, peer = (f"{1000 * pace[engine]:.1f} ms" for engine in ("ray", "local"))
    note = "between the first and the last finished part, start-up apart"
    return Row(name, ours, peer, pace["ray"] / pace["local"], None if quick else 1 / 0.9, note)


class _Clock:
    """Notes when parts are finished."""

    def __init__(self) -> None:
        self.times: list[tuple[float, int]] = []

    def track(self, receipts: Iterator[Receipt], _: int) -> Iterator[Receipt]:
        """Pass receipts on."""
        for receipt in receipts:
            self.times.append((time.perf_counter(), int(str(receipt["files"]))))
            yield receipt

    def seconds_a_picture(self) -> float:
        """Between the first and the last part."""
        files = sum(count for _, count in self.times[1:])
        return (self.times[-1][0] - self.times[0][0]) / max(1, files)
