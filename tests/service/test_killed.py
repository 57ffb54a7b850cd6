"""Servers in processes of their own, killed and stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from dense.inspection.ledger import Ledger
from dense.inspection.store.registry import Registry
from dense.service.client import Client, ServiceError
from dense.service.keys import KeyStore, Role
from tests.inspection.line import free_port
from tests.inspection.products import part
from tests.service.made import add_product, make_core, png


@pytest.fixture
def home(tmp_path: Path) -> Path:
    core = make_core(tmp_path)
    add_product(core)
    core.registry.close()
    return tmp_path


class Process:
    """A service in a process of its own."""

    def __init__(self, home: Path) -> None:
        self.port, self.home = free_port(), home
        command = [sys.executable, "-m", "tests.service.serve_tiny", str(home), str(self.port)]
        self.child = subprocess.Popen(command, stderr=subprocess.PIPE)
        self.url = f"http://127.0.0.1:{self.port}"
        until = time.monotonic() + 120
        while not self._ready():
            assert time.monotonic() < until and self.child.poll() is None
            time.sleep(0.2)

    def _ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health/ready").status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def process(home: Path) -> Iterator[Callable[[], Process]]:
    made: list[Process] = []

    def start() -> Process:
        made.append(Process(home))
        return made[-1]

    yield start
    for one in made:
        one.child.kill()
        one.child.communicate()


def test_killed_and_stopped_nothing_accepted_is_lost_or_told_twice(
    process: Callable[[], Process], home: Path
) -> None:
    ledger = Ledger(Registry(home).database)
    key, _ = KeyStore(ledger.database).add("line", Role.engineer)
    before = ledger.head().seq or 0
    first = process()
    with Client(first.url, key) as client:
        ids = [client.submit("nut", png(part(n)), source=f"kill-{n}").id for n in range(10)]
    first.child.send_signal(signal.SIGKILL)
    first.child.wait()
    second = process()
    with Client(second.url, key, patience=0.0) as client:
        for name in ids:
            assert client.wait_for(name, seconds=60).source.startswith("kill-")
        answers: list[object] = []

        def ask(number: int) -> None:
            try:
                answers.append(client.inspect("nut", png(part(number)), source=f"stop-{number}"))
            except ServiceError as error:
                answers.append(error)

        def hear() -> None:
            with httpx.stream(
                "GET",
                f"{second.url}/api/v1/events",
                headers={"Authorization": f"Bearer {key}"},
                timeout=60,
            ) as stream:
                answers.append(len(stream.read()))

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(20, 28)]
        threads.append(threading.Thread(target=hear))
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        second.child.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join(60)
    assert second.child.wait(60) in (0, -signal.SIGTERM)
    assert len(answers) == 9  # nobody hangs, the event stream has ended, too
    made = [
        e.content["decision"]["source"]
        for e in ledger.entries(before, 1000)
        if e.kind == "decision"
    ]  # type: ignore[index]
    told = {one.source for one in answers if not isinstance(one, (int, ServiceError))}  # type: ignore[attr-defined]
    assert len(made) == len(set(made)) and {f"kill-{n}" for n in range(10)} <= set(made)
    assert told <= set(made) and ledger.verify().ok
