"""`dense explain`: which places and which words made a picture and a sentence match."""

from __future__ import annotations

import argparse
from pathlib import Path

from dense.cli import common, numbers

FILLS = ("mean", "blur", "black")


def add_parser(commands: common.Subparsers) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "explain",
        help="say which places and words made a match",
        description="Say which places of a picture and which words of a sentence made their "
        "similarity. Writes NAME_N_map.png, NAME_N_words.png, index.html and results.json.",
        epilog='Example: dense explain photo.jpg --words "a cat on a sofa" --out out',
    )
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB", help="what to explain")
    parser.add_argument(
        "--words", nargs="+", default=[], metavar="TEXT", help="sentences, each for itself"
    )
    parser.add_argument(
        "--against",
        nargs="+",
        default=[],
        metavar="WORD",
        help="sentences whose mean similarity is subtracted: why this and not those?",
    )
    parser.add_argument(
        "--method",
        default="heads",
        metavar="NAME",
        help="see `dense methods --task explain` (default: heads)",
    )
    parser.add_argument("--short-side", type=numbers.side, metavar="PX", help="input size")
    parser.add_argument(
        "--check",
        action="store_true",
        help="also measure deletion and insertion against random orders, and random weights",
    )
    parser.add_argument(
        "--fill", choices=FILLS, default="mean", help="of missing patches (default: mean)"
    )
    parser.add_argument("--out", type=Path, default=Path("out/explain"), metavar="DIR")
    common.add_json_option(parser)
    common.add_model_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the command."""
    from dense.errors import InputError
    from dense.images import find_images
    from dense.methods.catalog import find_method
    from dense.outputs import check_writable

    if not arguments.words:
        raise InputError('there are no words to explain: give --words "a cat on a sofa"')
    find_method(arguments.method, "explain")
    paths = find_images(arguments.source)
    check_writable(arguments.out)

    from dense.apps.explain import ExplainOptions, explain_images
    from dense.apps.files import load_backbone

    options = ExplainOptions(
        arguments.words,
        arguments.method,
        arguments.against,
        arguments.short_side,
        arguments.check,
        arguments.fill,
    )
    backbone = load_backbone(common.model_options(arguments))
    report = explain_images(backbone, paths, arguments.out, options, track=common.track)
    common.save_json(arguments, report)
    _show(report, arguments.out)


def _show(report: dict[str, object], out: Path) -> None:
    rows = []
    for record in report["images"]:  # type: ignore[attr-defined]
        for found in record["explanations"]:
            words = sorted(found["word_scores"], key=lambda row: -row["score"])
            told = ", ".join(f"{row['word']} {row['score']:+.2g}" for row in words[:5])
            checked = found.get("checks")
            gains = (
                f"{checked['deletion_gain']:+.3f} {checked['insertion_gain']:+.3f}"
                if checked
                else ""
            )
            name = Path(record["file"]).name
            rows.append([name, found["words"], f"{found['score']:.3f}", told, gains])
    header = ["image", "words", "score", "words that raise it", "gains: deletion, insertion"]
    common.print_table(header, rows)
    print(f"maps, word bars, index.html and results.json in {out}")
