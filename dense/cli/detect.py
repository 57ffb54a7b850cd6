"""`dense detect`: objects found and named by words."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "detect",
        help="find objects named by words",
        description="Find objects named by words, or name given boxes. Writes NAME_boxes.png, "
        "results.json and coco.json (COCO's result format).",
        epilog='Example: dense detect photo.jpg --classes "cat; kitten" "wooden table" --out out',
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="where to look")
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
        nargs="*",
        metavar="WORDS",
        help="what is no object (default: sky, wall, floor, ...; none with no words)",
    )
    parser.add_argument(
        "--boxes",
        type=Path,
        metavar="FILE",
        help='name these boxes instead: {"photo.jpg": [[x0, y0, x1, y1], ...]} or COCO\'s format',
    )
    _add_method_options(parser)
    parser.add_argument("--out", type=Path, default=Path("out/detect"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument(
        "--method", metavar="NAME", help="see `dense methods --task detect` (default: regions)"
    )
    group.add_argument("--masks", action="store_true", help="masks, too")
    group.add_argument(
        "--threshold", type=float, default=0.1, metavar="P", help="least score (default: 0.1)"
    )
    group.add_argument(
        "--proposals", type=int, default=300, metavar="N", help="most regions (default: 300)"
    )
    group.add_argument(
        "--crops", type=int, metavar="N", help="see this many of the best regions as crops, too"
    )
    group.add_argument("--short-side", type=int, metavar="PX", help="input size")
    group.add_argument(
        "--sam", type=Path, metavar="FILE", help="segment-anything checkpoint for proposals"
    )
    group.add_argument("--sam-kind", default="vit_b", help="vit_b, vit_l or vit_h")
    group.add_argument(
        "--save-proposals", type=Path, metavar="FILE", help="write all regions as a COCO file"
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.outputs import check_writable
    from dense.prompts import make_class_list

    classes = list(arguments.classes)
    if arguments.classes_file is not None:
        classes += common.read_words(arguments.classes_file)
    make_class_list(classes)
    if not 0.0 <= arguments.threshold <= 1.0:
        raise InputError(f"--threshold must lie in [0, 1], got {arguments.threshold:g}")
    if arguments.short_side is not None and not 16 <= arguments.short_side <= 4096:
        raise InputError(f"--short-side must lie in [16, 4096], got {arguments.short_side}")
    if arguments.boxes is not None and arguments.method not in (None, "boxes"):
        raise InputError(f"--boxes goes with the method 'boxes', got {arguments.method!r}")
    if arguments.method == "boxes" and arguments.boxes is None:
        raise InputError("the method 'boxes' needs --boxes FILE")
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps
    from dense.datasets.boxes import read_boxes
    from dense.methods.detection.detector import DetectSettings

    boxes = None if arguments.boxes is None else read_boxes(arguments.boxes)
    method = arguments.method or ("regions" if boxes is None else "boxes")
    crops = arguments.crops
    settings = DetectSettings(
        short_side=arguments.short_side,
        least=arguments.threshold,
        masks=arguments.masks,
        crops=(100 if method == "regions-crops" else 0) if crops is None else crops,
    )
    detector = apps.make_detector(
        apps.load_backbone(common.model_options(arguments)),
        classes,
        background=arguments.background,
        method=method,
        settings=settings,
        proposals=arguments.proposals,
        sam=arguments.sam,
        sam_kind=arguments.sam_kind,
    )
    report = apps.detect_images(
        detector,
        paths,
        arguments.out,
        boxes=boxes,
        save_proposals=arguments.save_proposals,
        track=common.track,
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        found = ", ".join(f"{row['name']} {row['score']:.2f}" for row in record["objects"][:5])
        count = str(len(record["objects"]))
        seconds = f"{record['seconds']:.2f}"
        rows.append([Path(record["file"]).name, count, found or "none", seconds])
    common.print_table(["image", "objects", "best", "seconds"], rows)
    card = report["method"].items()  # type: ignore[attr-defined]
    print("; ".join(f"{key} {value}" for key, value in card))
    print(f"pictures, results.json and coco.json in {out}")
