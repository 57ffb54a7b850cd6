"""`dense reject`: which pictures show no known product."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "reject",
        help="tell pictures of known products from all others",
        description="Score how foreign pictures are to known ones. The threshold comes from known "
        "pictures that are held out in turn.",
        epilog="Example: dense reject incoming/ --known known/ --json reject.json",
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="what to look at")
    parser.add_argument(
        "--known", type=Path, metavar="DIR", help="known pictures, or one folder a class of them"
    )
    parser.add_argument(
        "--classes",
        nargs="+",
        default=[],
        metavar="WORDS",
        help="words for what is known (default: the names of the folders in --known)",
    )
    parser.add_argument(
        "--method",
        metavar="NAME",
        default="mahalanobis",
        help="a name of `dense methods --task reject` (default: mahalanobis)",
    )
    parser.add_argument(
        "--accept",
        type=numbers.share,
        default=0.95,
        metavar="SHARE",
        help="share of known pictures that should pass (default: 0.95)",
    )
    parser.add_argument(
        "--threshold",
        type=numbers.finite,
        metavar="SCORE",
        help="score from which pictures are foreign",
    )
    parser.add_argument(
        "--foreign",
        metavar="DIR",
        help="pictures that are foreign: measure AUROC and FPR95 against held-out known ones",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="CLIPN checkpoint")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.methods.catalog import find_method

    method = find_method(arguments.method, "reject")
    if arguments.known is None and not method.zero_shot:
        raise InputError(f"{method.name} learns from known pictures: give their folder as --known")
    if arguments.foreign is not None and arguments.known is None:
        raise InputError("--foreign is compared with known pictures: give their folder as --known")
    if arguments.known is None and not arguments.classes:
        raise InputError("say what is known: pictures as --known, words as --classes, or both")
    common.check_directory(arguments.known, "--known")
    paths = find_images(arguments.source)

    from dense import apps

    rejector = apps.make_rejector(
        apps.load_backbone(common.model_options(arguments)),
        arguments.classes,
        method=arguments.method,
        known=None if arguments.known is None else apps.read_known(arguments.known),
        accept=arguments.accept,
        threshold=arguments.threshold,
        weights=arguments.weights,
    )
    foreign = None if arguments.foreign is None else apps.read_support(arguments.foreign)
    report = apps.reject_images(rejector, paths, foreign=foreign, track=common.track)
    common.save_json(arguments, report)
    _show(report)


def _show(report: dict[str, object]) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        verdict = {None: "", True: "foreign", False: "known"}[record["is_foreign"]]
        name, score = Path(record["file"]).name, f"{record['score']:.4g}"
        rows.append([name, score, verdict, record["nearest"] or ""])
    common.print_table(["image", "score", "verdict", "looks most like"], rows)
    if "metrics" in report:
        metrics: dict[str, float] = report["metrics"]  # type: ignore[assignment]
        print(f"AUROC {metrics['auroc']:.1f}, FPR95 {metrics['fpr95']:.1f} (percent)")
