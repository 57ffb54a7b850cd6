"""`dense product`: from a few good pictures to decisions with a guarantee."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common, product_files, registry

if TYPE_CHECKING:
    from dense.inspection.workshop import Workshop


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "product",
        help="inspect a product: create, audit, calibrate, judge",
        description="Products are made from a few good pictures, get a threshold that bounds how "
        "many good parts are rejected, and judge pictures. They live in a registry (--home).",
        epilog="Start with: dense product create nut --support good/ && "
        "dense product calibrate nut --alpha 0.05 --good more_good/",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    registry.add_options(shared)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return actions.add_parser(name, help=text, description=text, parents=[shared])

    _add_making(add)
    _add_using(add)
    product_files.add(add, _named)


def _add_making(add: product_files.Add) -> None:
    create = _named(add("create", "make a product from good pictures"), create_product)
    create.add_argument(
        "--support", required=True, metavar="DIR", help="1 to 4 good pictures, or more"
    )
    create.add_argument("--words", default="", metavar="WORDS", help="what it is (default: NAME)")
    create.add_argument("--look-for", nargs="+", default=[], metavar="WORDS", help="defects")
    create.add_argument(
        "--ignore", nargs="+", default=[], metavar="WORDS", help="what is no defect"
    )
    create.add_argument(
        "--roi", type=Path, metavar="FILE", help="regions: PNG, or JSON of polygons (docs)"
    )
    create.add_argument("--mm-per-pixel", type=float, metavar="X", help="scale of the pictures")
    create.add_argument(
        "--tiles",
        default="whole",
        choices=["whole", "square", "native"],
        help="cut long (square) or large (native) pictures (default: whole)",
    )
    create.add_argument("--method", default="words-memory", metavar="NAME", help="(words-memory)")
    group = create.add_argument_group("model")
    group.add_argument("--model", default="embedded", metavar="NAME|FILE", help="(embedded)")
    group.add_argument("--pretrained", metavar="TAG|FILE", help="of an open_clip architecture")
    _add_device(create)
    calibrate = _named(add("calibrate", "give a product its threshold"), calibrate_product)
    calibrate.add_argument(
        "--alpha", type=float, metavar="SHARE", help="share of good parts that may be rejected"
    )
    calibrate.add_argument("--good", metavar="DIR", help="good parts beside the support")
    calibrate.add_argument("--defects", metavar="DIR", help="defective parts: how many pass?")
    calibrate.add_argument(
        "--folds", type=int, metavar="K", help="of the support, instead of --good"
    )
    calibrate.add_argument("--threshold", type=float, metavar="SCORE", help="by hand, no guarantee")
    _add_device(calibrate)


def _add_using(add: product_files.Add) -> None:
    judge = _named(add("judge", "judge pictures"), judge_pictures)
    judge.add_argument("source", metavar="IMAGE|DIR|GLOB", help="what to judge")
    judge.add_argument("--out", type=Path, default=Path("out/product"), metavar="DIR")
    judge.add_argument("--version", type=int, metavar="N", help="(default: the one in use)")
    _add_device(judge)
    _add_device(_named(add("audit", "look for bad pictures among the good ones"), audit_product))


def _named(parser: argparse.ArgumentParser, run: product_files.Run) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar="NAME", help="of the product")
    parser.set_defaults(run=run)
    return parser


def _add_device(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")


def create_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product create``."""
    from dense.images import find_images
    from dense.inspection.product import check_name
    from dense.methods.catalog import find_method

    check_name(arguments.name)
    find_method(arguments.method, "inspect")
    paths = find_images(arguments.support)
    known = registry.open_registry(arguments)
    known.check_free(arguments.name)

    from dense.apps.product import read_named
    from dense.inspection.view import View, read_view
    from dense.inspection.workshop import Order, Workshop
    from dense.methods.anomaly.tiles import Tiling
    from dense.prompts import StateWords

    support = list(read_named(paths))
    tiling, (height, width) = Tiling(arguments.tiles), support[0][1].shape[:2]
    view = View(tiling=tiling)
    if arguments.roi is not None:
        view = read_view(arguments.roi, (height, width), tiling)
    workshop = Workshop(known, device=arguments.device)
    record = workshop.create(
        Order(
            arguments.name,
            arguments.words,
            arguments.method,
            StateWords(tuple(arguments.look_for), tuple(arguments.ignore)),
            view,
            arguments.mm_per_pixel,
            arguments.model,
            arguments.pretrained,
        ),
        support,
    )
    common.save_json(arguments, record.to_json())
    print(f"product {arguments.name!r} made from {len(support)} pictures")
    print(f"next: dense product calibrate {arguments.name} --alpha 0.05 --good DIR")


def audit_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product audit``."""
    audited = _workshop(arguments).audit(arguments.name)
    common.save_json(arguments, {"pictures": [one.to_json() for one in audited]})
    rows = [
        [
            one.name,
            f"{one.score:.3f}",
            f"{one.deviation:+.1f}",
            f"{one.density:.2f}",
            "; ".join(text for _, text in one.findings) or "fits",
        ]
        for one in audited
    ]
    header = ["support picture", "distance to others", "deviations", "loneliness", "finding"]
    common.print_table(header, rows)


def calibrate_product(arguments: argparse.Namespace) -> None:
    """Run ``dense product calibrate``."""
    from dense.errors import InputError
    from dense.images import find_images

    if (arguments.alpha is None) == (arguments.threshold is None):
        raise InputError(
            "say which share of good parts may be rejected, --alpha SHARE, or set the threshold "
            "by hand, --threshold SCORE"
        )
    good, defects = (
        None if source is None else find_images(source)
        for source in (arguments.good, arguments.defects)
    )

    from dense.apps.product import read_named
    from dense.inspection.calibration import escape, guarantee

    record = _workshop(arguments).calibrate(
        arguments.name,
        alpha=arguments.alpha,
        good=None if good is None else read_named(good),
        defects=None if defects is None else read_named(defects),
        folds=arguments.folds,
        threshold=arguments.threshold,
    )
    known = record.product.calibration
    if known is None:
        return
    promise, passed = guarantee(known), escape(known)
    common.save_json(
        arguments,
        {
            **record.to_json(),
            "guarantee": None if promise is None else promise.to_json(),
            "escape": None if passed is None else passed.to_json(),
        },
    )
    for name, limit in known.thresholds.items():
        print(f"threshold{f' of {name}' if name else ''}: {limit:.4g}")
    print("set by hand: no guarantee" if promise is None else promise.text)
    if known.refused:
        print(f"{known.refused} good parts were refused by the quality gates: look at them")
    if passed is not None:
        low, high = passed.interval
        print(
            f"{passed.passed} of {passed.examples} defective parts pass "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )


def judge_pictures(arguments: argparse.Namespace) -> None:
    """Run ``dense product judge``."""
    from dense.images import find_images
    from dense.outputs import check_writable

    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense.apps.product import judge_files

    judge = _workshop(arguments).judge(arguments.name, arguments.version)
    report = judge_files(judge, paths, arguments.out, track=common.track)
    common.save_json(arguments, report)
    rows = []
    for record in report["decisions"]:  # type: ignore[attr-defined]
        score = "" if record["score"] is None else f"{record['score']:.3f}"
        why = "; ".join(reason["text"] for reason in record["reasons"])
        defects = str(len(record["defects"]))
        rows.append([Path(record["source"]).name, record["verdict"], score, defects, why])
    common.print_table(["image", "verdict", "score", "defects", "why"], rows)
    print(f"heat maps, masks and results.json in {arguments.out}")


def _workshop(arguments: argparse.Namespace) -> Workshop:
    known = registry.open_registry(arguments)
    known.get(arguments.name)  # a wrong name is told before the slow imports

    from dense.inspection.workshop import Workshop

    return Workshop(known, device=arguments.device)
