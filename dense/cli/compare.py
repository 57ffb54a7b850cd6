"""`dense compare`: one table over methods of one task."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dense.cli import common, numbers
from dense.cli.compare_options import OWN, TASKS, add_task_options
from dense.errors import InputError

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.evaluation.comparison import Comparison, Task

    MakeTask = Callable[[CLIPBackbone], Task]


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "compare",
        help="measure methods against each other: one table",
        description="Measure methods on the same pictures and print one table, in percent. "
        "Inspection: methods × shots × categories × seeds (mean ± standard deviation over seeds). "
        "Segmentation: methods × post-processing × vocabularies × protocols; the frozen blocks run "
        "once for all methods. Detection: methods × proposals × weight of the objectness, average "
        "precision and recall. Looking: the boxes of a folder named by each looker, accuracy by "
        "the size of the object, and cost. Explaining: deletion and insertion of each explanation "
        "against random orders, on the class that fills most of a picture. What is finished is "
        "kept in --out and not run again.",
        epilog="Examples: dense compare MY_PRODUCTS --methods winclip patch --shots 0 1 4 --out "
        "results; dense compare MY_MASKS --methods maskclip sclip --refine none pamr --out results",
    )
    parser.add_argument(
        "data", nargs="+", type=Path, metavar="DATA", help="data sets, see data/README.md"
    )
    parser.add_argument(
        "--task",
        choices=TASKS,
        help="(default: segment if DATA holds a classes.json, look if only an instances.json, else "
        "inspect; detect and explain read the same folders as look)",
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=[],
        metavar="NAME",
        help="see `dense methods` (default: all that need no learned parts)",
    )
    parser.add_argument(
        "--limit",
        type=numbers.count,
        metavar="N",
        help="pictures of a category or data set at most",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="results")
    parser.add_argument("--no-pictures", action="store_true", help="keep no pictures for the page")
    add_task_options(parser)
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    for folder in arguments.data:
        common.check_directory(folder, "DATA")
    task = arguments.task or find_task(arguments.data)
    for other in TASKS:
        for option in OWN[other]:
            if option not in OWN[task] and getattr(arguments, option) is not None:
                name = "--" + option.replace("_", "-")
                raise InputError(f"{name} is an option of {other}, but DATA is compared by {task}")
    build = MAKE[task](arguments)

    from dense.apps.files import load_backbone
    from dense.evaluation.comparison import compare, to_json, write_tables

    comparison = compare(
        build(load_backbone(common.model_options(arguments))),
        arguments.out,
        progress=lambda line: print(line, file=sys.stderr, flush=True),
    )
    if not comparison.records:
        raise InputError(f"every cell failed, the first one: {comparison.failures[0]['error']}")
    written = write_tables(comparison, arguments.out)
    common.save_json(arguments, to_json(comparison))
    _print(comparison)
    print(f"\nwritten: {', '.join(str(path) for path in written)}")


def find_task(roots: list[Path]) -> str:
    """What data sets are made for, by their layout.

    Raises:
        InputError: If they are for different tasks.
    """
    kinds = [_kind(root) for root in roots]
    if len(set(kinds)) > 1:
        found = ", ".join(f"{root} ({kind})" for root, kind in zip(roots, kinds, strict=True))
        raise InputError(f"data sets of different tasks cannot share a table: {found}")
    return kinds[0]


def _kind(root: Path) -> str:
    if (root / "classes.json").is_file():
        return "segment"
    return "look" if (root / "instances.json").is_file() else "inspect"


def _inspect(arguments: argparse.Namespace) -> MakeTask:
    """Check the setup before the checkpoint is loaded; make the task after."""
    products = common.read_pairs(arguments.product, "--product")

    from dense.evaluation.comparison.inspect_plan import Setup, plan
    from dense.evaluation.comparison.inspect_task import InspectTask

    setup = Setup(
        **_shared(arguments),
        products=products,
        weights=_weights(arguments),
        bins=None if arguments.exact else Setup.bins,
        **_given(arguments, "shots", "seeds", "categories", "layout", "sizes", "batch_size"),
        small_defects=bool(arguments.small_defects),
    )
    plan(setup)
    return lambda backbone: InspectTask(backbone, setup)


def _segment(arguments: argparse.Namespace) -> MakeTask:
    """As `_inspect`."""
    from dense.evaluation.comparison.segment_plan import SegmentSetup, plan
    from dense.evaluation.comparison.segment_task import SegmentTask

    names = {"protocols": arguments.protocol, "vocabularies": arguments.vocabulary}
    setup = SegmentSetup(
        **_shared(arguments),
        weights=_weights(arguments),
        **{name: value for name, value in names.items() if value is not None},
        **_given(arguments, "refine", "background", "threshold", "short_side", "batch_size"),
    )
    plan(setup)
    return lambda backbone: SegmentTask(backbone, setup, cache=arguments.out / "text")


def _detect(arguments: argparse.Namespace) -> MakeTask:
    """As `_inspect`."""
    from dense.evaluation.comparison.detect_plan import DetectSetup, plan
    from dense.evaluation.comparison.detect_task import DetectTask

    setup = DetectSetup(
        **_shared(arguments),
        weights=_weights(arguments),
        **_given(arguments, "proposals", "objectness", "short_side", "background"),
    )
    plan(setup)
    return lambda backbone: DetectTask(backbone, setup, cache=arguments.out / "text")


def _look(arguments: argparse.Namespace) -> MakeTask:
    """As `_inspect`."""
    from dense.evaluation.comparison.look_plan import LookSetup, plan
    from dense.evaluation.comparison.look_task import LookTask

    setup = LookSetup(**_shared(arguments), weights=_weights(arguments))
    plan(setup)
    return lambda backbone: LookTask(backbone, setup, cache=arguments.out / "text")


def _explain(arguments: argparse.Namespace) -> MakeTask:
    """As `_inspect`."""
    from dense.evaluation.comparison.explain_plan import ExplainSetup, plan
    from dense.evaluation.comparison.explain_task import ExplainTask

    setup = ExplainSetup(**_shared(arguments))
    plan(setup)
    return lambda backbone: ExplainTask(backbone, setup)


MAKE: dict[str, Callable[[argparse.Namespace], MakeTask]] = {
    "inspect": _inspect,
    "segment": _segment,
    "detect": _detect,
    "look": _look,
    "explain": _explain,
}


def _shared(arguments: argparse.Namespace) -> dict[str, Any]:
    """Options that all tasks have."""
    return {
        "roots": arguments.data,
        "methods": arguments.methods,
        "limit": arguments.limit,
        "pictures": not arguments.no_pictures,
    }


def _weights(arguments: argparse.Namespace) -> dict[str, Path]:
    pairs = common.read_pairs(arguments.weights, "--weights")
    return {name: Path(file) for name, file in pairs.items()}


def _given(arguments: argparse.Namespace, *options: str) -> dict[str, Any]:
    """Options that were typed."""
    values = {option: getattr(arguments, option) for option in options}
    return {option: value for option, value in values.items() if value is not None}


def _print(comparison: Comparison) -> None:
    from dense.evaluation.comparison.tables import protocol_line, remarks, table

    for title, rows in comparison.task.summed.tables(comparison.records).items():
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
