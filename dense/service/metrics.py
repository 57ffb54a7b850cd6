"""What Prometheus reads.

With several workers the numbers of all are added: `dense serve` then sets
``PROMETHEUS_MULTIPROC_DIR``, where the library keeps them.
"""

from __future__ import annotations

import os

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

REQUESTS = Counter("dense_requests", "Requests answered.", ["method", "route", "status"])
SECONDS = Histogram(
    "dense_request_seconds", "From a request's head to its answer.", ["route"], buckets=_SECONDS
)
DECISIONS = Counter("dense_decisions", "Decisions written into the log.", ["product", "verdict"])
WAIT = Histogram("dense_wait_seconds", "From acceptance to the start of judging.", buckets=_SECONDS)
JUDGE = Histogram("dense_judge_seconds", "Judging of one batch.", buckets=_SECONDS)
BATCH = Histogram("dense_batch_size", "Pictures judged together.", buckets=(1, 2, 4, 8, 16, 32, 64))
ADOPTED = Counter("dense_adopted", "Pictures taken over from workers that ended.")
REFUSED = Counter("dense_refused_requests", "Requests refused for security.", ["what"])
FAILED = Counter("dense_failed_batches", "Batches that could not be judged or logged.")
QUEUE = Gauge("dense_queue", "Pictures in the memory of workers.", multiprocess_mode="livesum")
LISTENERS = Gauge("dense_listeners", "Open event streams.", multiprocess_mode="livesum")


def exposition() -> bytes:
    """All numbers as Prometheus' text."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return generate_latest(registry)
