"""`dense segment`: pictures cut into classes named by words."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common

ATTENTIONS = ("plain", "value", "qq", "kk", "vv", "qq+kk", "qq+kk+vv", "neighbourhood")


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "segment",
        help="cut pictures into classes named by words",
        description="Cut pictures into classes named by words. Writes NAME_overlay.png, "
        "NAME_mask.png (class indices, 255 = undecided) and results.json.",
        epilog='Example: dense segment photo.jpg --classes "cat; kitten" "wooden table" --out out',
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="what to segment")
    parser.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='classes; synonyms after semicolons, e.g. "sofa; couch"',
    )
    parser.add_argument(
        "--classes-file", type=Path, metavar="FILE", help="more classes, one a line (UTF-8)"
    )
    parser.add_argument(
        "--background",
        nargs="+",
        default=[],
        metavar="WORDS",
        help="what else is in the pictures; stays without colour",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.0,
        metavar="P",
        help="pixels below this probability become background or undecided (default: 0)",
    )
    parser.add_argument(
        "--attention",
        metavar="NAME",
        help=f"last-block variant: {', '.join(ATTENTIONS)} (default: the checkpoint's advice)",
    )
    parser.add_argument(
        "--short-side", type=int, metavar="PX", help="input size (default: the checkpoint's advice)"
    )
    parser.add_argument(
        "--opacity", type=float, default=0.5, help="of the overlay, 0 to 1 (default: 0.5)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/segment"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.outputs import check_writable
    from dense.prompts import make_class_list

    classes = list(arguments.classes)
    if arguments.classes_file is not None:
        classes += common.read_words(arguments.classes_file)
    make_class_list(classes, arguments.background)
    for name, value in (("threshold", arguments.threshold), ("opacity", arguments.opacity)):
        if not 0.0 <= value <= 1.0:
            raise InputError(f"--{name} must lie in [0, 1], got {value:g}")
    if arguments.short_side is not None and not 16 <= arguments.short_side <= 4096:
        raise InputError(f"--short-side must lie in [16, 4096], got {arguments.short_side}")
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps

    segmentor = apps.make_segmentor(
        apps.load_backbone(common.model_options(arguments)),
        classes,
        background=arguments.background,
        attention=arguments.attention,
        short_side=arguments.short_side,
        threshold=arguments.threshold,
    )
    report = apps.segment_images(
        segmentor, paths, arguments.out, opacity=arguments.opacity, track=common.track
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        shares = ", ".join(f"{c['name']} {c['share']:.0%}" for c in record["classes"][:5])
        rows.append([Path(record["file"]).name, shares or "none", f"{record['seconds']:.2f}"])
    common.print_table(["image", "classes", "seconds"], rows)
    print(f"pictures, masks and results.json in {out}")
