"""A service on a tiny model for the tests: its core, its application, keys of all roles."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from dense.inspection.order import Order
from dense.prompts import StateWords
from dense.service.app import create_app
from dense.service.core import Core
from dense.service.keys import Role
from dense.service.settings import Limits, Settings
from tests.inspection.products import good, part, workshop

Answer = TypeVar("Answer")
API = "/api/v1"
WORDS = StateWords(("scratch", "dent"), ("oil",))
LIMITS = Limits(picture_bytes=1 << 20, set_bytes=4 << 20, other_bytes=1 << 16, free_bytes=0)


def run(coroutine: Coroutine[object, object, Answer]) -> Answer:
    """Run in a thread of its own: other tests may have left an event loop in this one."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(asyncio.run, coroutine).result()


def png(image: np.ndarray) -> bytes:
    """A picture as a file."""
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, format="PNG")
    return stream.getvalue()


def files(name: str, *seeds: int) -> list[tuple[str, tuple[str, bytes, str]]]:
    """Good parts as parts of a form."""
    return [(name, (f"good{seed}.png", png(part(seed)), "image/png")) for seed in seeds]


def make_core(home: Path, **changes: object) -> Core:
    """A worker that has not begun; it finds dead ones soon."""
    values: dict[str, object] = {"home": home, "limits": LIMITS, "batch_wait": 0.0, **changes}
    core = Core(Settings(**values), workshop(home))  # type: ignore[arg-type]
    core.keeper.pulse.patience = 0.3
    return core


def add_product(core: Core, name: str = "nut", *, alpha: float | None = 0.1) -> None:
    """A product of four parts, calibrated on nine others."""
    core.workshop.create(Order(name, method="patch", state_words=WORDS), good(1, 2, 3, 4))
    if alpha is not None:
        core.workshop.calibrate(name, alpha=alpha, good=good(*range(51, 60)))


@dataclass
class Service:
    """What a test talks to."""

    core: Core
    http: TestClient
    keys: dict[str, str]

    def head(self, role: str = "engineer") -> dict[str, str]:
        """The header of a role's key."""
        return {"Authorization": f"Bearer {self.keys[role]}"}

    def inspect(self, image: np.ndarray, role: str = "operator", **query: object) -> dict:
        """Judge a picture and return the answer's content."""
        answer = self.http.post(
            f"{API}/products/nut/inspect",
            params=query,  # type: ignore[arg-type]
            content=png(image),
            headers={**self.head(role), "Content-Type": "image/png"},
        )
        assert answer.status_code in (200, 202), answer.text
        return answer.json()


@contextmanager
def running(home: Path, **changes: object) -> Iterator[Service]:
    """A service with the product "nut" and a key a role."""
    core = make_core(home, **changes)
    if "nut" not in core.registry.names():
        add_product(core)
    keys = {role.value: core.keys.add(role.value, role)[0] for role in Role}
    with TestClient(create_app(core.settings, core)) as http:
        yield Service(core, http, keys)
