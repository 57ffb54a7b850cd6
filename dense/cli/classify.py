"""`dense classify`: regions, or whole pictures, named by words."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, look_options


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "classify",
        help="name regions or whole pictures by words",
        description="Name regions of pictures, or the pictures themselves, by looking closer: "
        "crops, marks, attention. Writes NAME_names.png and results.json.",
        epilog='Example: dense classify photo.jpg --classes "cat" "dog" --boxes 10,20,90,80 '
        "--looker gc-clip --out out",
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="where to look")
    common.add_class_options(parser)
    look_options.add_looker_options(parser, "gc-clip")
    look_options.add_region_options(parser, "the whole picture")
    parser.add_argument("--out", type=Path, default=Path("out/classify"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run, background=None)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.images import find_images
    from dense.methods.catalog import find_method
    from dense.outputs import check_writable

    classes = common.read_classes(arguments)
    find_method(arguments.looker, "look")
    settings = look_options.read_settings(arguments.set)
    paths = find_images(arguments.source)
    check_writable(arguments.out)
    regions = look_options.read_regions(arguments)

    from dense import apps

    namer = apps.make_namer(
        apps.load_backbone(common.model_options(arguments)),
        classes,
        looker=arguments.looker,
        weights=arguments.weights,
        settings=settings,
    )
    report = apps.classify_images(namer, paths, arguments.out, regions=regions, track=common.track)
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        for region in record["regions"]:
            names = ", ".join(f"{row['name']} {row['score']:.2f}" for row in region["names"][:3])
            box = " ".join(f"{value:g}" for value in region["box"])
            rows.append([Path(record["file"]).name, box, names])
    common.print_table(["image", "box", "names"], rows)
    card = report["method"].items()  # type: ignore[attr-defined]
    print("; ".join(f"{key} {value}" for key, value in card))
    print(f"pictures and results.json in {out}")
