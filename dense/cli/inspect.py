"""`dense inspect`: how abnormal pictures of a product are, and where."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "inspect",
        help="find defects on pictures of a product",
        description="Score pictures of a product: by words alone, or compared with a few normal "
        "pictures. Writes NAME_heat.png, NAME_map.png (16 bits) and results.json.",
        epilog='Example: dense inspect parts/ --product "metal nut" --support good/ --out out',
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="what to inspect")
    parser.add_argument("--product", required=True, metavar="WORDS", help='e.g. "metal nut"')
    parser.add_argument(
        "--method",
        metavar="NAME",
        default="winclip",
        help="a name of `dense methods --task inspect`; patch is quick (default: winclip)",
    )
    parser.add_argument(
        "--weights", type=Path, metavar="FILE", help="learned parts, for trained methods"
    )
    parser.add_argument(
        "--look-for",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='what counts as a defect, e.g. "rust" "crack" (methods that read words)',
    )
    parser.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='what is no defect though it stands out, e.g. "water drops"',
    )
    parser.add_argument("--support", metavar="DIR", help="normal pictures to compare with")
    parser.add_argument(
        "--shots", type=int, metavar="K", help="draw K of the normal pictures (default: all)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the draw (default: 0)")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SCORE",
        help="score from which pictures and pixels count as defective; without it no decision",
    )
    parser.add_argument(
        "--scale",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="anomaly values of the coldest and hottest colour",
    )
    parser.add_argument("--out", type=Path, default=Path("out/inspect"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.methods.catalog import find_method
    from dense.outputs import check_writable
    from dense.prompts import StateWords

    if not arguments.product.strip():
        raise InputError('--product is blank: say what the pictures show, e.g. "metal nut"')
    find_method(arguments.method, "inspect")
    words = StateWords(tuple(arguments.look_for), tuple(arguments.ignore))
    if arguments.shots is not None and arguments.support is None:
        raise InputError("--shots draws from normal pictures: give their folder as --support")
    if arguments.scale is not None and not arguments.scale[1] > arguments.scale[0]:
        raise InputError("--scale must rise, expected LOW < HIGH")
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps

    support = None
    if arguments.support is not None:
        support = apps.read_support(arguments.support, shots=arguments.shots, seed=arguments.seed)
    inspector = apps.make_inspector(
        apps.load_backbone(common.model_options(arguments)),
        arguments.product,
        method=arguments.method,
        support=support,
        threshold=arguments.threshold,
        weights=arguments.weights,
        state_words=words,
    )
    report = apps.inspect_images(
        inspector,
        paths,
        arguments.out,
        scale=None if arguments.scale is None else tuple(arguments.scale),
        track=common.track,
    )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        verdict = {None: "", True: "defective", False: "normal"}[record["is_anomalous"]]
        place = f"({record['peak']['x']}, {record['peak']['y']})"
        score, seconds = f"{record['score']:.3f}", f"{record['seconds']:.2f}"
        rows.append([Path(record["file"]).name, score, verdict, place, seconds])
    common.print_table(["image", "score", "verdict", "hottest (x, y)", "seconds"], rows)
    print(f"heat maps and results.json in {out}")
