"""Kill the workers of `dense serve` again and again while clients send pictures.

    python tools/soak_serve.py --minutes 30 --kills 10 --json out/soak_serve.json

Several clients send pictures, some waiting for the decision and some not, while workers are killed
with SIGKILL at random moments. At the end every picture that was accepted must have a decision,
none may have two, the log must be whole, and no worker's memory may have grown. Exit code 0 if so.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from soak_memory import judge_memory, resident

if TYPE_CHECKING:
    from dense.service.client import Client

SAMPLES = Path(__file__).resolve().parents[1] / "data/samples/surfaces/brick_paving"
A_CONNECTION = 10
"""Pictures of a client by one connection."""


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0, metavar="N")
    parser.add_argument("--clients", type=int, default=8, metavar="N")
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--method", default="patch", help="of the product (default: patch)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("out/soak_serve"), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    report = Soak(arguments).run()
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if report["ok"] else 1


class Soak:
    """Serves, sends, kills and counts."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.random = arguments, random.Random(arguments.seed)
        self.home = arguments.work.resolve() / "home"
        self.log = arguments.work.resolve() / "server.log"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.stop = threading.Event()
        self.lock = threading.Lock()
        self.accepted: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.seconds: list[float] = []
        self.memory: dict[int, list[tuple[float, int]]] = {}
        self.killed: list[float] = []
        self.started = 0.0

    def run(self) -> dict[str, object]:
        """The whole soak."""
        shutil.rmtree(self.arguments.work, ignore_errors=True)
        self.home.mkdir(parents=True)
        self.key = self.command("serve-key", "add", "soak", "--role", "engineer").strip()
        with self.log.open("wb") as log:
            command = [sys.executable, "-m", "dense.cli.main", "serve", "--home", str(self.home)]
            command += ["--port", str(self.port), "--workers", str(self.arguments.workers)]
            self.server = subprocess.Popen(command, stdout=log, stderr=log)
            try:
                return self.soak()
            finally:
                self.server.kill()
                for pid in workers_of(self.server.pid):
                    os.kill(pid, signal.SIGKILL)

    def soak(self) -> dict[str, object]:
        """Send and kill, then wait for what is left and count."""
        self.make_product()
        self.started = time.monotonic()
        threads = [threading.Thread(target=self.watch_memory)]
        threads += [
            threading.Thread(target=self.send, args=(number,))
            for number in range(self.arguments.clients)
        ]
        for thread in threads:
            thread.start()
        self.kill_workers()
        self.stop.set()
        for thread in threads:
            thread.join()
        unfinished = self.wait_for_the_rest()
        seconds = time.monotonic() - self.started
        self.server.terminate()
        code = self.server.wait(120)
        return self.report(unfinished, seconds, code)

    def make_product(self) -> None:
        """The product, as soon as the server answers."""
        from dense.service.client import Client

        support = sorted((SAMPLES / "train/good").glob("*.jpg"))
        with Client(self.url, self.key, patience=300, timeout=300) as client:
            client.products()
            client.create_product(
                "soak", support, words="brick paving", method=self.arguments.method
            )
            client.calibrate("soak", 0.2)

    def send(self, number: int) -> None:
        """What a client does until the end; new connections share the work out among workers."""
        from dense.service.client import Client

        chance = random.Random(f"{self.arguments.seed} {number}")
        pictures = [path.read_bytes() for path in sorted(SAMPLES.glob("test/*/*.jpg"))]
        counts = itertools.count()
        while not self.stop.is_set():
            with Client(self.url, self.key, patience=120, timeout=120) as client:
                for count in itertools.islice(counts, A_CONNECTION):
                    if not self.stop.is_set():
                        data = chance.choice(pictures)
                        self.ask(client, f"client-{number}-{count}", data, chance)

    def ask(self, client: Client, source: str, data: bytes, chance: random.Random) -> None:
        """Have a picture judged and note what was answered."""
        from dense.service.client import ServiceError

        begun, wait = time.monotonic(), chance.random() < 0.7
        take = client.inspect if wait else client.submit
        try:
            name = take("soak", data, source=source, suffix=".jpg").id
        except ServiceError as error:
            with self.lock:
                self.answers[f"error {error.status}"] += 1
            return
        with self.lock:
            self.accepted[source] = name
            self.answers["decision" if wait else "accepted"] += 1
            if wait:
                self.seconds.append(time.monotonic() - begun)
        if not wait:
            self.stop.wait(chance.uniform(0, 2))

    def kill_workers(self) -> None:
        """SIGKILL a random worker at random moments, evenly spread over the first 5/6."""
        whole = self.arguments.minutes * 60
        share = whole * 5 / 6 / max(1, self.arguments.kills)
        for number in range(self.arguments.kills):
            at = share * (number + self.random.uniform(0.2, 0.9))
            self.sleep_until(self.started + at)
            while not (found := workers_of(self.server.pid)):  # all of them are being started
                self.sleep_until(time.monotonic() + 0.5)
            os.kill(self.random.choice(found), signal.SIGKILL)
            self.killed.append(round(time.monotonic() - self.started, 1))
        self.sleep_until(self.started + whole)

    def sleep_until(self, when: float) -> None:
        """Wait, but not for a server that has ended."""
        while time.monotonic() < when:
            if self.server.poll() is not None:
                raise SystemExit(f"the server has ended, see {self.log}")
            time.sleep(min(0.5, max(0.0, when - time.monotonic())))

    def watch_memory(self) -> None:
        """Note the memory of every worker each second."""
        while not self.stop.wait(1.0):
            now = time.monotonic() - self.started
            for pid in workers_of(self.server.pid):
                size = resident(pid)
                if size:
                    self.memory.setdefault(pid, []).append((now, size))

    def wait_for_the_rest(self) -> int:
        """Until all that was accepted is judged, at most ten minutes; returns what is not."""
        from dense.service.client import Client

        until, left = time.monotonic() + 600, set(self.accepted.values())
        with Client(self.url, self.key, patience=120, timeout=120) as client:
            while left and time.monotonic() < until:
                left = {name for name in left if client.job(name).state != "done"}
                time.sleep(0.5)
        return len(left)

    def report(self, unfinished: int, seconds: float, code: int) -> dict[str, object]:
        """Compare the log with what the clients were told."""
        from dense.inspection.ledger import Ledger
        from dense.inspection.store.registry import Registry

        ledger = Ledger(Registry(self.home).database)
        logged: Counter[str] = Counter()
        after = 0
        while entries := ledger.entries(after, 1000):
            after = entries[-1].seq
            logged.update(
                str(entry.content["decision"]["source"])  # type: ignore[index]
                for entry in entries
                if entry.kind == "decision"
            )
        verified = ledger.verify()
        without = sorted(set(self.accepted) - set(logged))
        twice = sorted(source for source, count in logged.items() if count > 1)
        memory = judge_memory(self.memory)
        restarts = self.log.read_text(errors="replace").count("Application startup complete")
        ok = not without and not twice and not unfinished and verified.ok
        return {
            "ok": ok and len(self.killed) == self.arguments.kills and memory["flat"] is not False,
            "seconds": round(seconds, 1),
            "clients": self.arguments.clients,
            "workers": self.arguments.workers,
            "kills": len(self.killed),
            "killed_at": self.killed,
            "worker_starts": restarts,
            "accepted": len(self.accepted),
            "answers": dict(self.answers),
            "decisions_in_log": sum(logged.values()),
            "accepted_without_decision": without,
            "decided_twice": twice,
            "unfinished": unfinished,
            "log_verified": verified.ok,
            "seconds_to_decision": quantiles(self.seconds),
            "memory": memory,
            "exit_code": code,
        }

    def command(self, *words: str) -> str:
        """Run a command of `dense`."""
        command = [sys.executable, "-m", "dense.cli.main", *words, "--home", str(self.home)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def workers_of(parent: int) -> list[int]:
    """Worker processes of the server, itself left out."""
    found = []
    for place in Path("/proc").iterdir():
        if place.name.isdecimal():
            try:
                fields = (place / "stat").read_text().rpartition(")")[2].split()
                words = (place / "cmdline").read_bytes()
            except OSError:
                continue
            if int(fields[1]) == parent and b"spawn_main" in words:
                found.append(int(place.name))
    return sorted(found)


def quantiles(values: list[float]) -> dict[str, float]:
    """Median and 99th percentile."""
    if len(values) < 2:
        return {}
    return {
        "p50": round(statistics.median(values), 3),
        "p99": round(statistics.quantiles(values, n=100, method="inclusive")[98], 3),
    }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
