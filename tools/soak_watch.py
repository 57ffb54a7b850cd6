"""Kill a watch again and again and count what arrived: nothing lost, nothing decided twice.

    python tools/soak_watch.py --files 2000 --kills 10 --sink jsonl --sink mqtt

Files come into a folder while a process watches it, judges them (a judge without a model that
takes a few milliseconds; the machinery around it is that of `dense watch`) and delivers to every
sink. The process is killed with SIGKILL at random moments and started anew; with MQTT the broker
(Mosquitto) is down for a while, too. At the end the journal and what arrived are compared with the
files. Exit code 0 if every file was decided once, every decision was delivered at least once under
its own id, and no unknown id arrived.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

PRODUCT, VERSION = "soak", 1


def main() -> int:
    """Run the soak or, with --child, the watch that is killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=2000, metavar="N")
    parser.add_argument("--kills", type=int, default=10, metavar="N")
    parser.add_argument(
        "--sink", action="append", choices=["jsonl", "mqtt", "opcua", "modbus"], default=None
    )
    parser.add_argument("--pause", type=float, default=0.004, help="seconds that judging takes")
    parser.add_argument("--outage", type=float, default=5.0, help="seconds without the broker")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("out/soak"), metavar="DIR")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--ports", default="1883,4840,5020", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.sink = arguments.sink or ["jsonl", "mqtt"]
    if arguments.child:
        return watch(arguments)
    report = Soak(arguments).run()
    print(json.dumps(report, indent=2))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")
    return 0 if report["ok"] else 1


def watch(arguments: argparse.Namespace) -> int:
    """What is killed: the watch of `dense watch` with a judge without a model."""
    from dense.inspection.backoff import Backoff
    from dense.inspection.outbox import Journal
    from dense.inspection.secrets import Secrets
    from dense.inspection.sinks import open_sink
    from dense.inspection.sources import FolderSource
    from dense.inspection.watch import Watch

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    journal = Journal(arguments.work / "state")
    source = FolderSource(arguments.work / "parts", journal, settle=0.2, poll=0.05)
    sinks = [open_sink(text, Secrets()) for text in addresses(arguments)]
    judge = Judge(arguments.pause)
    summary = Watch(
        judge, source, journal, sinks, backoff=lambda: Backoff(first=0.1, longest=1.0)
    ).run(stop)
    journal.close()
    print(json.dumps(summary))
    return 0


class Judge:
    """Rejects bright pictures, after a pause."""

    def __init__(self, pause: float) -> None:
        self.product, self.version, self.pause = PRODUCT, VERSION, pause

    def judge(self, image: np.ndarray, source: str, content_sha256: str) -> object:
        """Judge one picture."""
        from datetime import datetime, timezone

        from dense.inspection.decision import Decision, Reason, decision_id

        time.sleep(self.pause)
        score = float(image[0, 0, 0]) / 255
        name = decision_id(PRODUCT, VERSION, source, content_sha256)
        reasons = (Reason("defect", "bright"),) if score > 0.5 else ()
        return Decision(
            name,
            PRODUCT,
            VERSION,
            source,
            content_sha256,
            datetime.now(timezone.utc),
            "reject" if reasons else "pass",
            reasons,
            score,
        )


def addresses(arguments: argparse.Namespace) -> list[str]:
    """The sinks of the child."""
    mqtt, opcua, modbus = arguments.ports.split(",")
    known = {
        "jsonl": f"jsonl:{arguments.work}/results.jsonl",
        "mqtt": f"mqtt://127.0.0.1:{mqtt}/soak/results#timeout=3",
        "opcua": f"opcua://127.0.0.1:{opcua}/dense",
        "modbus": f"modbus://127.0.0.1:{modbus}",
    }
    return [known[name] for name in arguments.sink]


class Soak:
    """Feeds, kills, restarts and counts."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments, self.work = arguments, arguments.work.resolve()
        self.random = random.Random(arguments.seed)
        self.ports = [free_port() for _ in range(3)]
        self.heard: Counter[str] = Counter()
        self.fed: dict[str, str] = {}
        self.killed_at: list[int] = []
        self.child: subprocess.Popen[bytes] | None = None
        self.broker: subprocess.Popen[bytes] | None = None

    def run(self) -> dict[str, object]:
        """The whole soak."""
        shutil.rmtree(self.work, ignore_errors=True)
        (self.work / "parts").mkdir(parents=True)
        mqtt, started = "mqtt" in self.arguments.sink, time.monotonic()
        if mqtt:
            self.start_broker()
            self.listen()
        self.start_child()
        feeder = threading.Thread(target=self.feed)
        feeder.start()
        outages = self.kill_and_restart(mqtt)
        feeder.join()
        self.wait_until_delivered()
        self.child.terminate()
        self.child.wait(60)
        time.sleep(1.0 if mqtt else 0.0)
        if self.broker is not None:
            self.broker.terminate()
            self.broker.wait()
        return self.report(outages, time.monotonic() - started)

    def feed(self) -> None:
        """Write the files, some of them in two halves, over most of the soak."""
        noise = np.random.default_rng(self.arguments.seed)
        for number in range(self.arguments.files):
            image = noise.integers(0, 256, (24, 32, 3), np.uint8)
            path = self.work / "parts" / f"part-{number:05d}.png"
            hidden = path.with_name(f".{path.name}")
            Image.fromarray(image).save(hidden, format="PNG")
            data = hidden.read_bytes()
            hidden.unlink()
            with path.open("wb") as stream:
                stream.write(data[: len(data) // 2])
                stream.flush()
                time.sleep(0.05 if number % 50 == 0 else 0.0)
                stream.write(data[len(data) // 2 :])
            self.fed[path.name] = hashlib.sha256(data).hexdigest()
            time.sleep(0.005)

    def kill_and_restart(self, mqtt: bool) -> int:
        """SIGKILL at random moments of its work; in the middle the broker goes away, too."""
        outages, share = 0, self.arguments.files / (self.arguments.kills + 1)
        for number in range(self.arguments.kills):
            self.wait_for_decisions(round(share * (number + self.random.uniform(0.5, 1.4))))
            time.sleep(self.random.uniform(0.0, 0.2))
            self.killed_at.append(self.count("ledger"))
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            if mqtt and number == self.arguments.kills // 2:
                self.broker.send_signal(signal.SIGTERM)
                self.broker.wait()
                self.start_child()
                time.sleep(self.arguments.outage)
                self.start_broker()
                outages += 1
            else:
                self.start_child()
        return outages

    def wait_for_decisions(self, count: int) -> None:
        """Until so many files, and at least one more than at the last kill, are decided."""
        count = max(count, self.killed_at[-1] + 1 if self.killed_at else 1)
        until = time.monotonic() + 120
        while self.count("ledger") < min(count, self.arguments.files):
            if time.monotonic() > until or self.child.poll() is not None:
                raise SystemExit(f"the watch stands still, see {self.work}/child.log")
            time.sleep(0.02)

    def start_child(self) -> None:
        """Start the watch."""
        command = [sys.executable, __file__, "--child", "--work", str(self.work)]
        command += ["--pause", str(self.arguments.pause), "--ports", ",".join(map(str, self.ports))]
        for name in self.arguments.sink:
            command += ["--sink", name]
        with (self.work / "child.log").open("ab") as log:
            self.child = subprocess.Popen(command, stdout=log, stderr=log)

    def start_broker(self) -> None:
        """Start Mosquitto; it keeps sessions on disk, as a plant's would."""
        program = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise SystemExit("mosquitto is not installed: apt-get install mosquitto")
        import getpass

        config = self.work / "mosquitto.conf"
        config.write_text(
            f"user {getpass.getuser()}\nlistener {self.ports[0]} 127.0.0.1\nallow_anonymous true\n"
            f"persistence true\npersistence_location {self.work}/\nmax_queued_messages 0\n"
        )
        self.broker = subprocess.Popen(
            [program, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for _ in range(100):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.ports[0])) == 0:
                    return
            time.sleep(0.05)
        raise SystemExit("mosquitto does not start")

    def listen(self) -> None:
        """Subscribe with a lasting session, as a plant's system would."""
        import paho.mqtt.client as paho

        client = paho.Client(paho.CallbackAPIVersion.VERSION2, "soak-listener", clean_session=False)
        ready = threading.Event()
        client.on_connect = lambda c, *_: c.subscribe("soak/#", qos=1)
        client.on_subscribe = lambda *_: ready.set()
        client.on_message = lambda _c, _u, m: self.heard.update([json.loads(m.payload)["id"]])
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", self.ports[0])
        client.loop_start()
        ready.wait(10)

    def wait_until_delivered(self) -> None:
        """Until all files are in the ledger and nothing waits, at most ten minutes."""
        until = time.monotonic() + 600
        while time.monotonic() < until and self.child.poll() is None:
            time.sleep(0.5)
            if self.count("ledger") == len(self.fed) and self.count("outbox") == 0:
                return

    def count(self, table: str) -> int:
        """Rows of a table of the journal."""
        path = self.work / "state" / "journal.sqlite"
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as database:
                return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
        except sqlite3.OperationalError:
            return -1

    def report(self, outages: int, seconds: float) -> dict[str, object]:
        """Compare what arrived with what was fed."""
        from dense.inspection.decision import decision_id

        expected = {decision_id(PRODUCT, VERSION, n, sha): n for n, sha in self.fed.items()}
        heard = {}
        if "jsonl" in self.arguments.sink:
            lines = (self.work / "results.jsonl").read_text().splitlines()
            rows = [json.loads(line) for line in lines]
            heard["jsonl"] = Counter(row["id"] for row in rows)
            sequences = {}
            for row in rows:
                sequences.setdefault(row["id"], set()).add(row["sequence"])
            twice = sum(len(numbers) > 1 for numbers in sequences.values())
        else:
            twice = 0
        if "mqtt" in self.arguments.sink:
            heard["mqtt"] = self.heard
        lost = sum(len(expected.keys() - counts.keys()) for counts in heard.values())
        unknown = sum(len(counts.keys() - expected.keys()) for counts in heard.values())
        decided = self.count("ledger")
        return {
            "files": len(self.fed),
            "kills": len(self.killed_at),
            "killed_after_decisions": self.killed_at,
            "broker_outages": outages,
            "decided": decided,
            "decided_twice": twice,
            "lost": lost,
            "unknown_ids": unknown,
            "delivered": {
                name: {
                    "distinct": len(counts),
                    "more_than_once": sum(n > 1 for n in counts.values()),
                    "messages": sum(counts.values()),
                }
                for name, counts in heard.items()
            },
            "seconds": round(seconds, 1),
            "ok": decided == len(self.fed) and not (lost or unknown or twice),
        }


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    sys.exit(main())
