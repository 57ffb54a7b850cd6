"""`dense compare`: one table over methods, of inspection or of segmentation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dense.cli import common
from dense.cli.segment import probability
from dense.errors import InputError

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.evaluation.comparison import Comparison, Task

    MakeTask = Callable[[CLIPBackbone], Task]

TASKS = ("inspect", "segment")


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="measure methods against each other: one table",
        description="Measure methods on the same pictures and print one table, in percent. "
        "Inspection: methods × shots × categories × seeds (mean ± standard deviation over seeds). "
        "Segmentation: methods × post-processing × vocabularies × protocols; the frozen blocks run "
        "once for all methods. What is finished is kept in --out and not run again.",
        epilog="Examples: dense compare MY_PRODUCTS --methods winclip patch --shots 0 1 4 --out "
        "results; dense compare MY_MASKS --methods maskclip sclip --refine none pamr --out results",
    )
    parser.add_argument(
        "data", nargs="+", type=Path, metavar="DATA", help="data sets, see data/README.md"
    )
    parser.add_argument(
        "--task",
        choices=TASKS,
        help="(default: segment if DATA holds a classes.json, else inspect)",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        metavar="NAME",
        help="see `dense methods` (default: all that need no learned parts)",
    )
    parser.add_argument(
        "--limit", type=int, metavar="N", help="pictures of a category or data set at most"
    )
    parser.add_argument("--batch-size", type=int, metavar="B", help="(default: 8, segment: 4)")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results")
    parser.add_argument("--no-pictures", action="store_true", help="keep no pictures for the page")
    _add_inspect_options(parser)
    _add_segment_options(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_inspect_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("inspection")
    group.add_argument("--shots", nargs="+", type=int, metavar="K", help="(default: 0 1 2 4)")
    group.add_argument("--seeds", nargs="+", type=int, metavar="S", help="(default: 0 1 2)")
    group.add_argument("--categories", nargs="+", metavar="NAME", help="only these")
    group.add_argument("--layout", metavar="NAME", help="of all DATA (default: found out)")
    group.add_argument(
        "--product",
        nargs="+",
        metavar="CATEGORY=WORDS",
        help='what a category shows, e.g. elpv_mono="solar cell" (default: its name)',
    )
    group.add_argument(
        "--weights", nargs="+", metavar="METHOD=FILE", help="learned parts of a method"
    )
    group.add_argument(
        "--sizes",
        nargs="+",
        type=_size,
        metavar="SIDE",
        help="sides at which pixels are scored, e.g. native 240 (default: native)",
    )
    group.add_argument(
        "--exact",
        action="store_true",
        default=None,
        help="keep every pixel's score: more memory, slower",
    )


def _add_segment_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("segmentation")
    group.add_argument(
        "--refine",
        nargs="+",
        metavar="NAME",
        help="post-processing, a row each: none, pamr, crf, ..., or steps such as pamr+vote "
        "(default: none)",
    )
    group.add_argument(
        "--protocol",
        nargs="+",
        metavar="NAME",
        help="input size, windows and scale, a row each: whole, sclip, tcl (default: whole)",
    )
    group.add_argument(
        "--vocabulary",
        nargs="+",
        metavar="NAME",
        help="a row each: present (classes that occur in the masks), all, voc (default: present)",
    )
    group.add_argument(
        "--background", nargs="+", metavar="WORDS", help='of the class named "background"'
    )
    group.add_argument("--threshold", type=probability, metavar="P", help="as in `dense segment`")
    group.add_argument("--short-side", type=int, metavar="PX", help="as in `dense segment`")


OWN = {
    "inspect": ("shots", "seeds", "categories", "layout", "product", "weights", "sizes", "exact"),
    "segment": ("refine", "protocol", "vocabulary", "background", "threshold", "short_side"),
}
"""Options that only one task has."""


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    for folder in arguments.data:
        common.check_directory(folder, "DATA")
    task = arguments.task or find_task(arguments.data)
    for other in TASKS:
        for option in OWN[other] if other != task else ():
            if getattr(arguments, option) is not None:
                name = "--" + option.replace("_", "-")
                raise InputError(f"{name} is an option of {other}, but DATA is compared by {task}")
    make = {"inspect": _inspect, "segment": _segment}[task]
    build = make(arguments)

    from dense.apps.files import load_backbone
    from dense.evaluation.comparison import compare, write_tables

    comparison = compare(
        build(load_backbone(common.model_options(arguments))),
        arguments.out,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    written = write_tables(comparison, arguments.out)
    _print(comparison)
    print(f"\nwritten: {', '.join(str(path) for path in written)}")
    if not comparison.records:
        raise InputError(f"every cell failed, the first one: {comparison.failures[0]['error']}")


def find_task(roots: list[Path]) -> str:
    """What data sets are made for, by their layout.

    Raises:
        InputError: If they are for different tasks.
    """
    kinds = ["segment" if (root / "classes.json").is_file() else "inspect" for root in roots]
    if len(set(kinds)) > 1:
        found = ", ".join(f"{root} ({kind})" for root, kind in zip(roots, kinds, strict=True))
        raise InputError(f"data sets of different tasks cannot share a table: {found}")
    return kinds[0]


def _inspect(arguments: argparse.Namespace) -> MakeTask:
    """Check the setup before the checkpoint is loaded; make the task after."""
    products = dict(common.read_pair(entry, "--product") for entry in arguments.product or ())
    weights = dict(common.read_pair(entry, "--weights") for entry in arguments.weights or ())

    from dense.evaluation.comparison.inspect_plan import Setup, plan
    from dense.evaluation.comparison.inspect_task import InspectTask

    setup = Setup(
        arguments.data,
        arguments.methods,
        products=products,
        weights={name: Path(file) for name, file in weights.items()},
        limit=arguments.limit,
        bins=None if arguments.exact else Setup.bins,
        pictures=not arguments.no_pictures,
        **_given(arguments, "shots", "seeds", "categories", "layout", "sizes", "batch_size"),
    )
    plan(setup)
    return lambda backbone: InspectTask(backbone, setup)


def _segment(arguments: argparse.Namespace) -> MakeTask:
    """As `_inspect`."""
    from dense.evaluation.comparison.segment_plan import SegmentSetup, plan
    from dense.evaluation.comparison.segment_task import SegmentTask

    names = {"protocols": arguments.protocol, "vocabularies": arguments.vocabulary}
    setup = SegmentSetup(
        arguments.data,
        arguments.methods,
        limit=arguments.limit,
        pictures=not arguments.no_pictures,
        **{name: value for name, value in names.items() if value is not None},
        **_given(arguments, "refine", "background", "threshold", "short_side", "batch_size"),
    )
    plan(setup)
    return lambda backbone: SegmentTask(backbone, setup, cache=arguments.out / "text")


def _given(arguments: argparse.Namespace, *options: str) -> dict[str, Any]:
    """Options that were typed."""
    values = {option: getattr(arguments, option) for option in options}
    return {option: value for option, value in values.items() if value is not None}


def _print(comparison: Comparison) -> None:
    from dense.evaluation.comparison.tables import protocol_line, remarks, table

    for title, rows in comparison.task.tables(comparison.records).items():
        columns = [c for c in comparison.task.terminal if any(c in row.values for row in rows)]
        same = {
            name: value
            for name, value in rows[0].names.items()
            if name != "method" and len(rows) > 1 and all(r.names[name] == value for r in rows)
        }
        header, body = table(rows, columns)
        kept = [place for place, name in enumerate(header) if name not in same]
        header, *body = ([line[place] for place in kept] for line in (header, *body))
        common.print_table(header, body, title=", ".join([title, *map(str, same.values())]))
        print()
    print(f"protocol: {protocol_line(comparison)}")
    for title, lines in remarks(comparison).items():
        print(f"{title.lower()}:", *lines, sep="\n  ")


def _size(text: str) -> int:
    if text == "native":
        return 0
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise argparse.ArgumentTypeError(f"expected native or a side in pixels, got {text!r}")
