"""`dense detect`: objects found and named by words."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common, numbers

if TYPE_CHECKING:
    from dense.methods.detection.detector import DetectSettings


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
    common.add_class_options(parser)
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
    _add_proposal_options(parser)
    parser.add_argument("--out", type=Path, default=Path("out/detect"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument(
        "--method", metavar="NAME", help="see `dense methods --task detect` (default: regions)"
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="learned parts, for trained methods"
    )
    group.add_argument("--short-side", type=numbers.side, metavar="PX", help="input size")
    group.add_argument("--masks", action="store_true", help="masks, too")
    group.add_argument(
        "--threshold",
        type=numbers.share,
        default=0.1,
        metavar="P",
        help="least score (default: 0.1)",
    )
    group.add_argument(
        "--limit",
        type=numbers.count,
        default=25,
        metavar="N",
        help="most objects of a picture (default: 25; COCO's measures look at 100)",
    )
    group.add_argument(
        "--parts",
        action="store_true",
        help="keep objects that lie in a likelier one of their class (default: a part of a thing "
        "is not that thing again)",
    )
    group.add_argument(
        "--crops",
        type=numbers.whole(0),
        metavar="N",
        help="see this many of the best regions as crops, too",
    )
    group.add_argument(
        "--refine",
        metavar="NAME",
        help="cut masks and draw boxes tightly: grabcut, or sam:FILE with a segment-anything "
        "checkpoint",
    )


def _add_proposal_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("proposals")
    group.add_argument(
        "--proposals",
        type=numbers.count,
        default=300,
        metavar="N",
        help="most regions (default: 300; trained methods have their own)",
    )
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

    classes = common.read_classes(arguments)
    if arguments.boxes is not None and arguments.method not in (None, "boxes"):
        raise InputError(f"--boxes goes with the method 'boxes', got {arguments.method!r}")
    if arguments.method == "boxes" and arguments.boxes is None:
        raise InputError("the method 'boxes' needs --boxes FILE")
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps
    from dense.datasets.boxes import read_boxes

    boxes = None if arguments.boxes is None else read_boxes(arguments.boxes)
    method = arguments.method or ("regions" if boxes is None else "boxes")
    detector = apps.make_detector(
        apps.load_backbone(common.model_options(arguments)),
        classes,
        background=arguments.background,
        method=method,
        settings=_settings(arguments, method),
        proposals=arguments.proposals,
        sam=arguments.sam,
        sam_kind=arguments.sam_kind,
        weights=arguments.weights,
    )
    report = apps.detect_images(
        detector,
        paths,
        arguments.out,
        boxes=boxes,
        save_proposals=arguments.save_proposals,
        refine=arguments.refine,
        track=common.track,
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _settings(arguments: argparse.Namespace, method: str) -> DetectSettings:
    from dense.methods.detection.build import with_crops
    from dense.methods.detection.detector import TO_LOOK_AT

    settings = replace(
        with_crops(TO_LOOK_AT, method),
        short_side=arguments.short_side,
        least=arguments.threshold,
        limit=arguments.limit,
        inside=1.0 if arguments.parts else TO_LOOK_AT.inside,
        masks=arguments.masks,
    )
    return settings if arguments.crops is None else replace(settings, crops=arguments.crops)


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
