"""`dense benchmark`: speed and memory of this machine, as ratios."""

from __future__ import annotations

import argparse

from dense.cli import common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "benchmark",
        help="measure speed and memory on this machine",
        description="Measure speed and memory on this machine and print them as ratios.",
    )
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, smaller models")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="measure only these: forward, windows, linear, regions, looking, start-up, memory, "
        "line, service",
    )
    common.add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.benchmark import as_records, format_table
    from dense.benchmark import run as run_benchmark

    rows = run_benchmark(quick=arguments.quick, only=arguments.only)
    print(format_table(rows))
    common.save_json(arguments, {"command": "benchmark", "rows": as_records(rows)})
