"""`dense inspect`: how abnormal pictures of a product are, and where."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers


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
    _add_method_options(parser)
    _add_support_options(parser)
    _add_result_options(parser)
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def _add_method_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("method")
    group.add_argument(
        "--method",
        metavar="NAME",
        default="winclip",
        help="a name of `dense methods --task inspect`; patch is quick (default: winclip)",
    )
    group.add_argument(
        "--weights", type=Path, metavar="FILE", help="learned parts, for trained methods"
    )
    group.add_argument(
        "--look-for",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='what counts as a defect, e.g. "rust" "crack" (methods that read words)',
    )
    group.add_argument(
        "--ignore",
        nargs="+",
        default=[],
        metavar="WORDS",
        help='what is no defect though it stands out, e.g. "water drops"',
    )
    group.add_argument(
        "--guided",
        action="store_true",
        help="look closer at suspicious places, as the method NAME+guided",
    )


def _add_support_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("normal pictures")
    group.add_argument("--support", metavar="DIR", help="normal pictures to compare with")
    group.add_argument(
        "--shots",
        type=numbers.count,
        metavar="K",
        help="draw K of the normal pictures (default: all)",
    )
    group.add_argument(
        "--seed", type=numbers.seed, default=0, metavar="S", help="of the draw (default: 0)"
    )


def _add_result_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("results")
    group.add_argument("--out", type=Path, default=Path("out/inspect"), metavar="DIR")
    group.add_argument(
        "--threshold",
        type=numbers.finite,
        metavar="SCORE",
        help="score from which pictures and pixels count as defective; without it no decision",
    )
    group.add_argument(
        "--scale",
        type=numbers.finite,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="anomaly values of the coldest and hottest colour",
    )
    group.add_argument(
        "--stream",
        action="store_true",
        help="judge very large TIFF or .npy pictures in strips; writes a reduced map and a list "
        "of places (needs --guided)",
    )
    group.add_argument(
        "--refine",
        metavar="NAME",
        help="cut defect masks along edges: grabcut, or sam:FILE with a segment-anything "
        "checkpoint (needs --threshold)",
    )
    group.add_argument(
        "--explain",
        action="store_true",
        help="also write which words and patches made each score (winclip, patch, words-memory)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.images import find_images
    from dense.outputs import check_writable
    from dense.prompts import StateWords

    method = _checked_method(arguments)
    words = StateWords(tuple(arguments.look_for), tuple(arguments.ignore))
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense import apps
    from dense.apps.inspect_strips import inspect_strips

    support = None
    if arguments.support is not None:
        support = apps.read_support(arguments.support, shots=arguments.shots, seed=arguments.seed)
    inspector = apps.make_inspector(
        apps.load_backbone(common.model_options(arguments)),
        arguments.product,
        method=method,
        support=support,
        threshold=arguments.threshold,
        weights=arguments.weights,
        state_words=words,
    )
    scale = None if arguments.scale is None else tuple(arguments.scale)
    if arguments.stream:
        report = inspect_strips(inspector, paths, arguments.out, scale=scale, track=common.track)
    else:
        report = apps.inspect_images(
            inspector,
            paths,
            arguments.out,
            scale=scale,
            explain=arguments.explain,
            refine=arguments.refine,
            track=common.track,
        )
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _checked_method(arguments: argparse.Namespace) -> str:
    """Refuse what cannot go together before the checkpoint is loaded; the method's name."""
    from dense.errors import InputError
    from dense.methods.catalog import find_method

    if not arguments.product.strip():
        raise InputError('--product is blank: say what the pictures show, e.g. "metal nut"')
    method = find_method(_method_name(arguments), "inspect")
    if arguments.support is None and not method.zero_shot:
        raise InputError(
            f"{method.name} compares with normal pictures: give their folder as --support"
        )
    if arguments.shots is not None and arguments.support is None:
        raise InputError("--shots draws from normal pictures: give their folder as --support")
    if arguments.scale is not None and not arguments.scale[1] > arguments.scale[0]:
        raise InputError("--scale must rise, expected LOW < HIGH")
    return method.name


def _method_name(arguments: argparse.Namespace) -> str:
    """The method with what guidance asks for.

    Raises:
        InputError: If options cannot go together.
    """
    from dense.errors import InputError
    from dense.methods.method import GUIDED

    name: str = arguments.method
    if arguments.guided and not name.endswith(GUIDED):
        name += GUIDED
    guided = name.endswith(GUIDED)
    if arguments.stream and (not guided or arguments.explain or arguments.refine):
        raise InputError("--stream goes with --guided, and not with --explain or --refine")
    if arguments.explain and guided:
        raise InputError("--explain takes a method apart that is not guided: leave one out")
    if arguments.refine and arguments.threshold is None:
        raise InputError("--refine refines defect masks, which need a --threshold")
    return name


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        verdict = {None: "", True: "defective", False: "normal"}[record["is_anomalous"]]
        place = f"({record['peak']['x']}, {record['peak']['y']})"
        score, seconds = f"{record['score']:.3f}", f"{record['seconds']:.2f}"
        rows.append([Path(record["file"]).name, score, verdict, place, seconds])
    common.print_table(["image", "score", "verdict", "hottest (x, y)", "seconds"], rows)
    print(f"heat maps and results.json in {out}")
