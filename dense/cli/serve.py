"""`dense serve`: products over HTTP, for the page, for other systems, for auditors."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common, numbers, registry

if TYPE_CHECKING:
    from dense.service.settings import Settings

_LOCAL = ("127.0.0.1", "::1", "localhost")


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "serve",
        help="serve products over HTTP, with a page",
        description="Serve the products of a registry over HTTP: a page for people, an API for "
        "systems (docs/service.md). The first start prints an engineer's key, once.",
        epilog="Start with: dense serve, then open http://127.0.0.1:8000 and sign in.",
    )
    registry.add_options(parser)
    parser.add_argument("--host", default="127.0.0.1", help="address (default: 127.0.0.1)")
    parser.add_argument(
        "--port", type=numbers.whole(0, 65535), default=8000, metavar="N", help="(default: 8000)"
    )
    parser.add_argument(
        "--workers",
        type=numbers.whole(1, 64),
        default=1,
        metavar="N",
        help="processes (default: 1)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    _add_tls(parser)
    _add_judging(parser)
    _add_limits(parser)
    parser.set_defaults(run=run)


def _add_tls(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("HTTPS")
    group.add_argument("--tls-certificate", type=Path, metavar="PEM", help="certificate chain")
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="its key")
    group.add_argument(
        "--behind-tls",
        metavar="ADDRESSES",
        default="",
        help="a proxy at these addresses (comma-separated) speaks HTTPS for it",
    )
    group.add_argument(
        "--insecure", action="store_true", help="plain HTTP to other machines: keys can be read"
    )


def _add_judging(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("judging")
    group.add_argument(
        "--batch", type=numbers.whole(1, 64), default=8, metavar="N", help="together (default: 8)"
    )
    group.add_argument(
        "--batch-wait",
        type=numbers.between(0, 1000),
        default=5.0,
        metavar="MS",
        help="milliseconds that a picture waits for others (default: 5)",
    )
    group.add_argument(
        "--wait",
        type=numbers.between(0.1, 3600),
        default=60.0,
        metavar="S",
        help="seconds before the answer is 'accepted' instead of a decision (default: 60)",
    )
    group.add_argument(
        "--drain",
        type=numbers.between(0, 3600),
        default=30.0,
        metavar="S",
        help="seconds at the end for pictures in hand (default: 30); the rest is judged next time",
    )
    group.add_argument(
        "--keep-pictures",
        type=numbers.between(0.01, 36_500),
        metavar="DAYS",
        help="remove older pictures and maps that nobody gave feedback on (default: keep)",
    )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("limits")
    for option, default, name, text in (
        ("--max-upload", 64, "MB", "body with one picture"),
        ("--max-set", 1024, "MB", "body with many pictures, or a product file"),
        ("--max-pixels", 100, "MP", "megapixels of a picture"),
        ("--max-waiting", 64, "N", "pictures in the memory of a worker; then 503"),
        ("--max-per-key", 32, "N", "of them those of one key; then 429"),
        ("--max-backlog", 10_000, "N", "accepted pictures on disk that wait; then 503"),
        ("--upload-seconds", 60, "S", "for the body of a picture"),
    ):
        group.add_argument(
            option,
            type=numbers.count,
            default=default,
            metavar=name,
            help=f"{text} (default: {default})",
        )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError, MissingDependencyError
    from dense.inspection.store.registry import Registry

    if (arguments.tls_certificate is None) != (arguments.tls_key is None):
        raise InputError("HTTPS needs both --tls-certificate and --tls-key")
    secure = arguments.tls_certificate is not None or bool(arguments.behind_tls)
    if not secure and arguments.host not in _LOCAL and not arguments.insecure:
        raise InputError(
            f"--host {arguments.host} without HTTPS: anybody on the way can read keys and "
            "pictures; give --tls-certificate and --tls-key, or --behind-tls, or --insecure"
        )
    try:
        from dense.service.core import first_key
        from dense.service.server import Place, bind, serve
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            f"{error.name} is missing: pip install 'dense-clip[service]'"
        ) from error
    place = Place(
        arguments.host,
        arguments.port,
        arguments.workers,
        arguments.tls_certificate,
        arguments.tls_key,
        arguments.behind_tls,
    )
    listener = bind(place)  # a taken port is told before anything is written
    registry = Registry(arguments.home, database=arguments.database)
    key = first_key(registry)
    registry.close()
    if key is not None:
        print(f"first start: the engineer's key is {key}\nit is shown this once: keep it safe")
    scheme = "https" if arguments.tls_certificate else "http"
    address = f"{scheme}://{arguments.host}:{listener.getsockname()[1]}"
    common.save_json(arguments, {"address": address, "pid": os.getpid()})
    print(f"dense serves {address}", flush=True)
    serve(_settings(arguments, secure), place, listener)
    print("stopped: what was in hand is judged, the rest waits on disk", file=sys.stderr)


def _settings(arguments: argparse.Namespace, secure: bool) -> Settings:
    from dense.service.settings import Limits, Settings

    limits = Limits(
        picture_bytes=arguments.max_upload << 20,
        set_bytes=arguments.max_set << 20,
        pixels=arguments.max_pixels * 1_000_000,
        waiting=arguments.max_waiting,
        per_key=arguments.max_per_key,
        backlog=arguments.max_backlog,
        upload_seconds=float(arguments.upload_seconds),
    )
    return Settings(
        home=arguments.home,
        database=arguments.database,
        device=arguments.device,
        batch=arguments.batch,
        batch_wait=arguments.batch_wait / 1000,
        wait_seconds=arguments.wait,
        secure=secure,
        keep_days=arguments.keep_pictures,
        drain_seconds=arguments.drain,
        limits=limits,
    )
