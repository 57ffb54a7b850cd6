"""A judge without a model, and what tests of the line share."""

from __future__ import annotations

import hashlib
import os
import socket
import threading
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from PIL import Image

from dense.inspection.decision import Decision, Defect, Evidence, Reason, decision_id
from dense.inspection.sinks.base import DeliveryError, Message, Sink


class StubJudge:
    """Rejects pictures whose first pixel is bright; the score is that pixel over 255."""

    def __init__(self, product: str = "nut", version: int = 3) -> None:
        self.product, self.version = product, version
        self.judged: list[str] = []

    def judge(self, image: np.ndarray, source: str, content_sha256: str) -> Decision:
        self.judged.append(source)
        score = float(image[0, 0, 0]) / 255
        bad = score > 0.5
        name = decision_id(self.product, self.version, source, content_sha256)
        mask = np.zeros(image.shape[:2], bool)
        mask[1:3, 2:6] = bad
        defect = Defect((2, 1, 6, 3), 8, (4.0, 2.0), score)
        return Decision(
            name,
            self.product,
            self.version,
            source,
            content_sha256,
            datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc),
            "reject" if bad else "pass",
            (Reason("defect", "one defect"),) if bad else (),
            score,
            0.5,
            (defect,) if bad else (),
            image_size=image.shape[:2],
            evidence=Evidence(mask.astype(np.float32), mask),
        )

    def judge_batch(
        self, images: Sequence[np.ndarray], sources: Sequence[str], digests: Sequence[str]
    ) -> list[Decision]:
        return [self.judge(*row) for row in zip(images, sources, digests, strict=True)]


class ListSink(Sink):
    """Keeps what it gets; fails the first `failures` times, refuses ids in `refuse`."""

    batch = 4

    def __init__(self, name: str = "list", *, failures: int = 0, refuse: Sequence[int] = ()):
        self.name, self.failures, self.refuse = name, failures, refuse
        self.taken: list[Message] = []
        self.closed = False

    def deliver(self, messages: Sequence[Message]) -> None:
        if self.failures:
            self.failures -= 1
            raise DeliveryError("away")
        for done, message in enumerate(messages):
            if message.sequence in self.refuse:
                raise DeliveryError("never", done=done, refused=True)
            self.taken.append(message)

    def close(self) -> None:
        self.closed = True


def body(number: int = 1, verdict: str = "pass", **others: object) -> dict[str, object]:
    """A decision as plain values."""
    digest = hashlib.sha256(str(number).encode()).hexdigest()
    return {
        "id": digest[:32],
        "product": "nut",
        "version": 3,
        "source": f"{number}.png",
        "content_sha256": digest,
        "judged_at": "2026-01-02T03:04:05+00:00",
        "verdict": verdict,
        "reasons": [],
        "score": 0.25,
        "threshold": 0.5,
        "defects": [],
        "seconds": 0.0,
        **others,
    }


def message(number: int = 1, verdict: str = "pass", **others: object) -> Message:
    """A decision on its way."""
    import json

    values = {**body(number, verdict, **others), "sequence": number}
    return Message(number, str(values["id"]), "nut", json.dumps(values))


def save_part(path: Path, level: int, seed: int = 0) -> Path:
    """A small noisy picture whose first pixel has a level; written in one step."""
    image = np.random.default_rng(seed).integers(0, 255, (12, 16, 3), np.uint8)
    image[0, 0] = level
    path.parent.mkdir(parents=True, exist_ok=True)
    hidden = path.with_name(f".{path.name}")
    Image.fromarray(image).save(hidden, format=Image.registered_extensions()[path.suffix])
    os.replace(hidden, path)  # noqa: PTH105
    return path


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def after(seconds: float, call: object) -> threading.Timer:
    """Call something later."""
    timer = threading.Timer(seconds, call)  # type: ignore[arg-type]
    timer.daemon = True
    timer.start()
    return timer
