"""`dense ground`: the region that a phrase means."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, look_options, numbers


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "ground",
        help="find the region that a phrase means",
        description="Find the region of each phrase among given regions, or among the likeliest "
        "objects. Writes NAME_found.png and results.json.",
        epilog='Example: dense ground photo.jpg --phrase "the cup on the left" --out out',
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="where to look")
    parser.add_argument(
        "--phrase", nargs="+", default=[], metavar="WORDS", help="what to look for, one or more"
    )
    parser.add_argument(
        "--negatives",
        nargs="+",
        default=[],
        metavar="WORDS",
        help="phrases whose mean agreement is subtracted: takes away what fits any words",
    )
    look_options.add_looker_options(parser, "crop")
    look_options.add_region_options(parser, "proposals")
    parser.add_argument(
        "--proposals", type=numbers.count, default=50, metavar="N", help="(default: 50)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/ground"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.methods.catalog import find_method
    from dense.outputs import check_writable

    if not arguments.phrase or not all(phrase.strip() for phrase in arguments.phrase):
        raise InputError('there is no phrase to look for: pass --phrase "the cup on the left"')
    if not all(phrase.strip() for phrase in arguments.negatives):
        raise InputError("a phrase of --negatives is blank: write it or leave it out")
    find_method(arguments.looker, "look")
    settings = look_options.read_settings(arguments.set)
    paths = find_images(arguments.source)
    check_writable(arguments.out)
    regions = look_options.read_regions(arguments)

    from dense import apps

    finder = apps.make_finder(
        apps.load_backbone(common.model_options(arguments)),
        looker=arguments.looker,
        weights=arguments.weights,
        settings=settings,
        negatives=arguments.negatives,
    )
    report = apps.ground_images(
        finder,
        paths,
        arguments.phrase,
        arguments.out,
        regions=regions,
        proposals=arguments.proposals,
        track=common.track,
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        for found in record["phrases"]:
            best = found["places"][0]
            box = " ".join(f"{value:g}" for value in best["box"])
            rows.append([Path(record["file"]).name, found["phrase"], box, f"{best['score']:.2f}"])
    common.print_table(["image", "phrase", "box", "share"], rows)
    card = report["method"].items()  # type: ignore[attr-defined]
    print("; ".join(f"{key} {value}" for key, value in card))
    print(f"pictures and results.json in {out}")
