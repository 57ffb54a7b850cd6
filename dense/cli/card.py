"""`dense models card`: everything a checkpoint can do, measured in one go."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dense.cli import common, numbers

TASKS = {
    "classification": "class folders, or a .jsonl of {file, texts}",
    "segmentation": "images/ masks/ classes.json",
    "clusters": "the same, its patches clustered without words",
    "detection": "images/ instances.json",
    "anomaly": "categories in MVTec's layout",
    "text": "phrases to compare with the sentence encoder, data/held_out_phrases.json",
}
"""What is measured, and on what."""


def add_parser(actions: common.Subparsers) -> None:
    """Add the action to `dense models`."""
    parser = actions.add_parser(
        "card",
        help="measure a checkpoint on your data: one table",
        description="Zero-shot classification, segmentation by words, region accuracy, zero- and "
        "few-shot inspection and calibration, on whatever data are named.",
        epilog="Example: dense models card embedded --segmentation photos/ --anomaly parts/",
    )
    parser.add_argument("checkpoint", metavar="NAME|FILE")
    parser.add_argument("--pretrained", metavar="TAG|FILE", help="weights of an architecture")
    for task, layout in TASKS.items():
        parser.add_argument(f"--{task}", nargs="+", default=[], metavar="DIR", help=layout)
    parser.add_argument(
        "--product",
        nargs="+",
        default=[],
        metavar="CATEGORY=WORDS",
        help='what a category shows, e.g. elpv_mono="solar cell" (default: its name)',
    )
    parser.add_argument(
        "--shots", nargs="+", type=numbers.whole(0), default=[0, 1, 2, 4], metavar="K"
    )
    parser.add_argument(
        "--seeds", type=numbers.count, default=3, metavar="N", help="support choices (default: 3)"
    )
    parser.add_argument(
        "--methods",
        nargs="+",
        default=["words-memory"],
        metavar="NAME",
        help="of inspection, see `dense methods` (default: words-memory)",
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16", "fp16"])
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write as Markdown here")
    common.add_json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the action."""
    products = common.read_pairs(arguments.product, "--product")

    from dataclasses import asdict

    from dense.backbones import load
    from dense.evaluation.card import CardSources, make_card, to_markdown
    from dense.outputs import write_text

    sources = CardSources(
        **{task: [Path(entry) for entry in getattr(arguments, task)] for task in TASKS},
        products=products,
    )
    backbone = load(
        arguments.checkpoint,
        pretrained=arguments.pretrained,
        device=arguments.device,
        precision=arguments.precision,
    )
    rows = make_card(
        backbone,
        sources,
        shots=arguments.shots,
        seeds=arguments.seeds,
        methods=arguments.methods,
        progress=lambda line: print(line, file=sys.stderr),
    )
    table = to_markdown(rows)
    print(table, end="")
    if arguments.markdown:
        write_text(arguments.markdown, table)
    content = {"command": "models card", "model": backbone.name, "rows": [asdict(r) for r in rows]}
    common.save_json(arguments, content)
