"""How a service runs: what `dense serve` reads from its options."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """What is refused.

    Attributes:
        picture_bytes: Largest body with one picture.
        set_bytes: Largest body with many pictures, or with a product file.
        other_bytes: Largest body of any other request.
        pixels: Largest picture.
        set_pixels: Largest sum over the pictures that a product is made from.
        head_seconds: For the head of a request.
        upload_seconds: For the body of a request with one picture, ten times that for many.
        waiting: Pictures that may wait in a worker; more get 503.
        per_key: Of them those of one key; more get 429.
        backlog: Pictures on disk that may wait for any worker; more get 503.
        free_bytes: Least free room on the disk; below it pictures get 503.
        listeners: Live event streams of a worker.
        connections: Open connections of a worker.
    """

    picture_bytes: int = 64 << 20
    set_bytes: int = 1 << 30
    other_bytes: int = 1 << 20
    pixels: int = 100_000_000
    set_pixels: int = 400_000_000
    head_seconds: float = 10.0
    upload_seconds: float = 60.0
    waiting: int = 64
    per_key: int = 32
    backlog: int = 10_000
    free_bytes: int = 256 << 20
    listeners: int = 64
    connections: int = 512


@dataclass(frozen=True)
class Settings:
    """Of a service; the same for all its workers.

    Attributes:
        home: Folder of the registry, see `dense.inspection.store.registry.Registry`.
        database: URL of another database than the folder's own.
        device: Of the models.
        batch: Most pictures that are judged together.
        batch_wait: Seconds that a picture may wait for others to be judged with.
        wait_seconds: For a decision before the answer is "accepted".
        secure: The page is reached by HTTPS alone: cookies say so, and browsers are told.
        keep_days: Pictures and maps of older decisions are removed; ``None`` keeps all.
        drain_seconds: For what is in hand when the service ends.
        limits: What is refused.
    """

    home: Path | None = None
    database: str | None = None
    device: str = "auto"
    batch: int = 8
    batch_wait: float = 0.005
    wait_seconds: float = 60.0
    secure: bool = False
    keep_days: float | None = None
    drain_seconds: float = 30.0
    limits: Limits = field(default_factory=Limits)
