"""`dense watch`: judge what comes from a line, tell who needs to know, lose nothing."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common, numbers

if TYPE_CHECKING:
    from dense.inspection.decision import Decision
    from dense.inspection.outbox import Journal
    from dense.inspection.secrets import Secrets
    from dense.inspection.sources import Source
    from dense.inspection.watch import Progress

_SINKS = """sinks, each as KIND:TARGET#option=value&option=value:
  jsonl:PATH                  one JSON object a line
  csv:PATH                    one row a picture
  log:HOME                    the registry's own log, which the page of dense serve shows
  images:DIR                  pictures of what did not pass
  webhook:https://host/path   HTTP POST, signed with WEBHOOK_SECRET
  mqtt://host:port/topic      MQTT, confirmed by the broker; mqtts:// with TLS
  opcua://host:port/path      OPC UA server with a node set for the product
  modbus://host:port          Modbus TCP server with coils and registers
  any of them takes #only=reject,refused

Logins come from the environment (DENSE_MQTT_PASSWORD) or --secrets FILE.
Example: dense watch --product nut --folder camera/ --sink jsonl:out/nut.jsonl
"""

_SECONDS = numbers.between(0, 86_400)


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "watch",
        help="judge what comes from a line and tell plant networks",
        description="Judge every picture of a folder, film or camera once, and deliver every "
        "decision at least once to every sink, across restarts and outages.",
        epilog=_SINKS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--product", required=True, metavar="NAME", help="a name of `dense product list`"
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="of the products (default: DENSE_HOME or ~/.dense)"
    )
    _add_source_options(parser)
    group = parser.add_argument_group("results")
    group.add_argument(
        "--sink", action="append", default=[], metavar="ADDRESS", help="may be given many times"
    )
    group.add_argument(
        "--secrets", type=Path, metavar="FILE", help="lines NAME=VALUE, readable by you alone"
    )
    group.add_argument(
        "--state", type=Path, metavar="DIR", help="journal (default: HOME/watch/PRODUCT)"
    )
    group.add_argument(
        "--max-waiting",
        type=numbers.count,
        default=100_000,
        metavar="N",
        help="results that may wait for one sink before the source must (default: 100000)",
    )
    group.add_argument(
        "--max-megabytes",
        type=numbers.count,
        default=4096,
        metavar="MB",
        help="size of the journal before the source must wait (default: 4096)",
    )
    group.add_argument(
        "--drain",
        type=_SECONDS,
        default=10.0,
        metavar="S",
        help="seconds for what still waits at the end (default: 10); the rest goes next time",
    )
    group.add_argument(
        "--resend", action="store_true", help="try results again that a sink had refused"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    common.add_json_option(parser)
    parser.set_defaults(run=run)


def _add_source_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("source, one of")
    one = group.add_mutually_exclusive_group(required=True)
    one.add_argument("--folder", type=Path, metavar="DIR", help="every new picture in it")
    one.add_argument("--video", type=Path, metavar="FILE", help="every frame, see --every")
    one.add_argument("--camera", metavar="ADDRESS", help="index, rtsp://host/path or gst:PIPELINE")
    group.add_argument("--recursive", action="store_true", help="folders of the folder, too")
    group.add_argument(
        "--once", action="store_true", help="end when all pictures of the folder are decided"
    )
    group.add_argument(
        "--settle",
        type=_SECONDS,
        default=1.0,
        metavar="S",
        help="seconds without a change before a file is read (default: 1)",
    )
    group.add_argument(
        "--patience",
        type=_SECONDS,
        default=10.0,
        metavar="S",
        help="the same for a file that cannot be decoded (default: 10)",
    )
    group.add_argument(
        "--every",
        type=numbers.count,
        default=1,
        metavar="N",
        help="one frame of N of a film (default: 1)",
    )
    group.add_argument(
        "--interval",
        type=_SECONDS,
        default=0.0,
        metavar="S",
        help="least seconds between two pictures of a camera (default: 0)",
    )
    group.add_argument(
        "--buffer",
        type=numbers.count,
        default=1,
        metavar="N",
        help="frames of a camera that may wait; 1 judges the newest (default: 1)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.inspection.outbox import Journal, Limits
    from dense.inspection.secrets import Secrets
    from dense.inspection.sinks import open_sink
    from dense.inspection.store.places import default_home

    if not arguments.sink:
        raise InputError("--sink is missing: say where results go, e.g. --sink jsonl:out.jsonl")
    common.check_directory(arguments.folder, "--folder")
    secrets = Secrets(arguments.secrets)
    sinks = [open_sink(text, secrets) for text in arguments.sink]
    home = arguments.home or default_home()

    from dense.inspection.judge import open_judge
    from dense.inspection.watch import Watch

    judge = open_judge(home, arguments.product, device=arguments.device)
    stop, give_up = threading.Event(), threading.Event()
    journal = Journal(
        arguments.state or home / "watch" / judge.product,
        limits=Limits(arguments.max_waiting, arguments.max_megabytes << 20),
        give_up=give_up,
    )
    try:
        if arguments.resend:
            print(f"{journal.resend()} refused results are tried again", file=sys.stderr)
        watch = Watch(
            judge,
            _source(arguments, journal, secrets),
            journal,
            sinks,
            drain=arguments.drain,
            on_decision=_show if sys.stderr.isatty() else None,
        )
        with _Signals(stop, give_up, arguments.drain + 5.0):
            summary = watch.run(stop)
    finally:
        journal.close()
    common.save_json(arguments, summary)
    _tell(summary)


def _source(arguments: argparse.Namespace, journal: Journal, secrets: Secrets) -> Source:
    from dense.inspection.sources import CameraSource, FilmSource, FolderSource, open_camera

    if arguments.folder is not None:
        return FolderSource(
            arguments.folder,
            journal,
            recursive=arguments.recursive,
            settle=arguments.settle,
            patience=arguments.patience,
            once=arguments.once,
        )
    if arguments.video is not None:
        return FilmSource(arguments.video, journal, every=arguments.every)
    name, opener = open_camera(arguments.camera, secrets)
    return CameraSource(name, opener, interval=arguments.interval, buffer=arguments.buffer)


class _Signals:
    """SIGINT and SIGTERM end a watch in good order; a second SIGINT ends it at once."""

    def __init__(self, stop: threading.Event, give_up: threading.Event, grace: float) -> None:
        self._stop, self._give_up, self._grace = stop, give_up, grace
        self._before: dict[int, object] = {}

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _handle(self, number: int, _: object) -> None:
        if self._stop.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        self._stop.set()
        timer = threading.Timer(self._grace, self._give_up.set)
        timer.daemon = True
        timer.start()


def _show(decision: Decision, progress: Progress) -> None:
    """The status line."""
    decided = ", ".join(f"{count} {name}" for name, count in sorted(progress.verdicts.items()))
    queues = [f"{count} wait for {name}" for name, count in progress.waiting.items() if count > 1]
    line = "; ".join([f"{decision.source}: {decision.verdict}", decided, *queues])
    sys.stderr.write(f"\r\x1b[K{line[:150]}")
    sys.stderr.flush()


def _tell(summary: dict[str, object]) -> None:
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    decided, delivered, waiting, refused = (
        dict(summary[key])  # type: ignore[call-overload]
        for key in ("decided", "delivered", "waiting", "set_aside")
    )
    print("decided: " + ", ".join(f"{count} {name}" for name, count in decided.items()))
    rows = [
        [name, str(count), str(waiting.get(name, 0)), str(refused.get(name, 0))]
        for name, count in delivered.items()
    ]
    common.print_table(["sink", "delivered", "waiting", "refused"], rows)
