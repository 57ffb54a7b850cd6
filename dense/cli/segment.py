"""`dense segment`: pictures cut into classes named by words."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers

ATTENTIONS = ("plain", "value", "qq", "kk", "vv", "qq+kk", "qq+kk+vv", "neighbourhood")
EXPORTS = ("rgba", "rle", "polygons")
REFINERS = ("pamr", "pamr-fine", "crf", "vote", "propagate", "grabcut", "sam:FILE")


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
    common.add_class_options(parser)
    parser.add_argument(
        "--background",
        nargs="+",
        default=[],
        metavar="WORDS",
        help="what else is in the pictures; stays without colour",
    )
    parser.add_argument(
        "--threshold",
        type=numbers.share_or_otsu,
        metavar="P",
        help="pixels below this probability become background or undecided; otsu: chosen for each "
        "picture (default: 0)",
    )
    _add_method_options(parser)
    _add_output_options(parser)
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument(
        "--method",
        metavar="NAME",
        help="see `dense methods --task segment` (default: the checkpoint's advice)",
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="learned parts, for trained methods"
    )
    group.add_argument(
        "--attention",
        metavar="NAME",
        help=f"instead, a last-block variant alone: {', '.join(ATTENTIONS)}",
    )
    group.add_argument(
        "--protocol",
        default="whole",
        metavar="NAME",
        help="input size, windows and scale: whole, sclip (336 px, windows 224 every 112, x 40) or "
        "tcl (448 px, windows 448 every 224, x 100) (default: whole)",
    )
    group.add_argument(
        "--short-side",
        type=numbers.side,
        metavar="PX",
        help="input size (default: the checkpoint's advice)",
    )
    group.add_argument(
        "--refine",
        nargs="+",
        default=[],
        metavar="NAME",
        help=f"post-processing in order: {', '.join(REFINERS)}",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, default=Path("out/segment"), metavar="DIR")
    group.add_argument(
        "--opacity", type=numbers.share, default=0.5, help="of the overlay, 0 to 1 (default: 0.5)"
    )
    group.add_argument(
        "--abstain",
        type=numbers.share,
        default=0.0,
        metavar="P",
        help="pixels less confident than this are left undecided (default: 0)",
    )
    group.add_argument(
        "--confidence",
        action="store_true",
        help="also write NAME_confidence.png, 16 bits: 65535 is probability 1",
    )
    group.add_argument(
        "--export",
        nargs="+",
        default=[],
        metavar="FORM",
        help="also write rgba (a cut-out of each class), rle (COCO run lengths, JSON) or polygons "
        "(GeoJSON in pixels, with holes)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.images import find_images
    from dense.outputs import check_writable

    classes = common.read_classes(arguments)
    _check_exports(arguments.export)
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps

    segmentor = apps.make_segmentor(
        apps.load_backbone(common.model_options(arguments)),
        classes,
        background=arguments.background,
        method=arguments.method,
        attention=arguments.attention,
        weights=arguments.weights,
        protocol=arguments.protocol,
        short_side=arguments.short_side,
        threshold=arguments.threshold,
        refine=arguments.refine,
    )
    outputs = apps.SegmentOutputs(
        arguments.opacity, arguments.abstain, arguments.confidence, arguments.export
    )
    report = apps.segment_images(
        segmentor, paths, arguments.out, outputs=outputs, track=common.track
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _check_exports(names: list[str]) -> None:
    """Refuse names before the checkpoint is loaded."""
    from dense.errors import unknown_name

    for name in names:
        if name not in EXPORTS:
            raise unknown_name("export", name, EXPORTS)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        found = [f"{c['name']} {c['share']:.0%}" for c in record["classes"][:5]]
        if record["undecided"]:
            found.append(f"undecided {record['undecided']:.0%}")
        shares = ", ".join(found)
        rows.append([Path(record["file"]).name, shares or "none", f"{record['seconds']:.2f}"])
    common.print_table(["image", "classes", "seconds"], rows)
    card = report["method"].items()  # type: ignore[attr-defined]
    print("; ".join(f"{key} {value}" for key, value in card))
    print(f"pictures, masks and results.json in {out}")
