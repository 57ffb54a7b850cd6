"""`dense inspect-batch`: judge millions of pictures of a product, in parts, resumably."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common, numbers

if TYPE_CHECKING:
    from dense.inspection.batch.work import Receipt


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect-batch",
        help="judge a large store of pictures of a product",
        description="Judge all pictures below a folder or an fsspec address such as s3://bucket/x. "
        "Writes part-N.jsonl (a decision a line) and summary.json. Run again after an "
        "interruption: finished parts are kept.",
        epilog="Example: dense inspect-batch archive/2026/ --product nut --out out/nut-2026",
    )
    parser.add_argument("source", metavar="DIR|URL", help="folders of folders, too")
    parser.add_argument(
        "--product", required=True, metavar="NAME", help="a name of `dense product list`"
    )
    parser.add_argument(
        "--home", type=Path, metavar="DIR", help="of the products (default: DENSE_HOME or ~/.dense)"
    )
    parser.add_argument("--out", required=True, metavar="DIR|URL", help="for the results")
    parser.add_argument(
        "--engine",
        default="auto",
        choices=["auto", "local", "ray"],
        help="local: this process; ray: Ray Data (default: ray where it is installed)",
    )
    parser.add_argument(
        "--workers",
        type=numbers.count,
        metavar="N",
        help="processes of ray (default: one a core; one a GPU)",
    )
    parser.add_argument(
        "--part-size",
        type=numbers.count,
        default=256,
        metavar="N",
        help="pictures that are finished together (default: 256)",
    )
    parser.add_argument(
        "--batch",
        type=numbers.count,
        default=8,
        metavar="N",
        help="pictures judged together (default: 8)",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    common.add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.inspection.batch import run_batch
    from dense.inspection.judge import open_judge

    home = None if arguments.home is None else arguments.home.resolve()
    summary = run_batch(
        partial(open_judge, home, arguments.product, device=arguments.device),
        arguments.source,
        arguments.out,
        engine=arguments.engine,
        workers=arguments.workers,
        part_size=arguments.part_size,
        batch=arguments.batch,
        track=_track,
    )
    common.save_json(arguments, summary)
    rows = [[name, str(count)] for name, count in summary["decided"].items()]  # type: ignore[attr-defined]
    rows.append(["gone or unreadable", str(summary["missing_count"])])
    common.print_table(["verdict", "pictures"], rows)
    print(
        f"{summary['files_now']} of {summary['files']} pictures now, "
        f"{summary['files_per_second']} a second ({summary['engine']}); results in {arguments.out}"
    )


def _track(receipts: Iterator[Receipt], count: int) -> Iterator[Receipt]:
    if sys.stderr.isatty():
        yield from common.track(receipts, count, "parts")
        return
    for number, receipt in enumerate(receipts, start=1):
        seconds, files = float(str(receipt["seconds"])), int(str(receipt["files"]))
        rate = files / seconds if seconds else 0.0
        print(f"part {number} of {count}: {files} pictures, {rate:.1f} a second", file=sys.stderr)
        yield receipt
