"""`dense compare`: one table over methods, shots, categories and seeds."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common
from dense.errors import InputError

if TYPE_CHECKING:
    from dense.evaluation.comparison import Comparison


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="measure inspection methods against each other: one table",
        description="Measure methods × shots × categories × seeds on inspection data and print the "
        "table (percent, mean ± standard deviation over seeds). What is finished is kept in --out "
        "and not run again.",
        epilog="Example: dense compare MY_PRODUCTS --methods winclip patch --shots 0 1 4 "
        "--out results",
    )
    parser.add_argument(
        "data", nargs="+", type=Path, metavar="DATA", help="inspection data, see data/README.md"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        metavar="NAME",
        help="see `dense methods` (default: all that need no learned parts)",
    )
    parser.add_argument("--shots", nargs="+", type=int, default=[0, 1, 2, 4], metavar="K")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2], metavar="S")
    parser.add_argument("--categories", nargs="+", default=[], metavar="NAME", help="only these")
    parser.add_argument(
        "--layout", default="auto", metavar="NAME", help="of all DATA (default: found out)"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="test pictures of a category")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results")
    parser.add_argument(
        "--product",
        nargs="+",
        default=[],
        metavar="CATEGORY=WORDS",
        help='what a category shows, e.g. elpv_mono="solar cell" (default: its name)',
    )
    parser.add_argument(
        "--weights", nargs="+", default=[], metavar="METHOD=FILE", help="learned parts of a method"
    )
    _add_metric_options(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_metric_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("metrics and speed")
    group.add_argument(
        "--sizes",
        nargs="+",
        type=_size,
        default=[0],
        metavar="SIDE",
        help="sides at which pixels are scored, e.g. native 240 (default: native)",
    )
    group.add_argument(
        "--exact", action="store_true", help="keep every pixel's score: more memory, slower"
    )
    group.add_argument("--batch-size", type=int, default=8, metavar="B")
    group.add_argument("--no-pictures", action="store_true", help="keep no pictures for the page")


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    for folder in arguments.data:
        common.check_directory(folder, "DATA")
    products = dict(common.read_pair(entry, "--product") for entry in arguments.product)
    weights = dict(common.read_pair(entry, "--weights") for entry in arguments.weights)

    from dense.apps.files import load_backbone
    from dense.evaluation.comparison import compare
    from dense.evaluation.comparison_plan import Setup, plan
    from dense.evaluation.comparison_tables import write_tables

    setup = Setup(
        arguments.data,
        arguments.methods,
        arguments.shots,
        arguments.seeds,
        arguments.categories,
        products,
        {name: Path(file) for name, file in weights.items()},
        layout=arguments.layout,
        limit=arguments.limit,
        bins=None if arguments.exact else Setup.bins,
        sizes=arguments.sizes,
        batch_size=arguments.batch_size,
        pictures=not arguments.no_pictures,
    )
    plan(setup)
    backbone = load_backbone(common.model_options(arguments))
    comparison = compare(
        backbone,
        setup,
        arguments.out,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    written = write_tables(comparison, arguments.out)
    _print(comparison)
    print(f"\nwritten: {', '.join(str(path) for path in written)}")
    if not comparison.records:
        raise InputError(f"every cell failed, the first one: {comparison.failures[0]['error']}")


def _print(comparison: Comparison) -> None:
    from dense.evaluation.comparison_tables import (
        TERMINAL,
        category_rows,
        macro_rows,
        remarks,
        table,
    )

    rows = category_rows(comparison.records)
    header, body = table(rows, TERMINAL)
    body = [[f"{data}/{category}", *others] for data, category, *others in body]
    common.print_table(["category", *header[2:]], body, title="by category")
    if len({(row.data, row.category) for row in rows}) > 1:
        print()
        rows = macro_rows(comparison.records)
        common.print_table(*table(rows, TERMINAL), title="mean over categories")
    print("\nprotocol: " + "  ".join(f"{k}={v}" for k, v in comparison.protocol.items()))
    for title, lines in remarks(comparison).items():
        print(f"{title.lower()}:", *lines, sep="\n  ")


def _size(text: str) -> int:
    if text == "native":
        return 0
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected native or a side in pixels, got {text!r}")
