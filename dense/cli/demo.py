"""`dense demo`: the packaged model on the repository's sample pictures, as a page and a table."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "demo",
        help="show both jobs on the sample pictures",
        description="Segment sample photos by words and find the defects of sample surfaces, "
        "without and with normal pictures. Writes a self-contained page, DIR/index.html.",
    )
    parser.add_argument(
        "--samples", type=Path, metavar="DIR", help="default: data/samples of the repository"
    )
    parser.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.outputs import check_writable

    check_writable(arguments.out)
    from dense import demo

    samples = demo.find_samples(arguments.samples)
    report = demo.run(common.model_options(arguments), samples, arguments.out, track=common.track)
    for title, header, rows in demo.tables(report):
        common.print_table(header, rows, title=title)
        print()
    common.save_json(arguments, report)
    print(f"done in {report['seconds']} s; open {arguments.out / 'index.html'}")
