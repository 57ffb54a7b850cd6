"""Options of `dense compare` that belong to single tasks."""

from __future__ import annotations

import argparse

from dense.cli import numbers

TASKS = ("inspect", "segment", "detect", "look", "explain")


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that single tasks have, in groups."""
    _add_shared_options(parser)
    _add_inspect_options(parser)
    _add_segment_options(parser)
    _add_detect_options(parser)


def _add_shared_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("several tasks")
    group.add_argument(
        "--batch-size", type=numbers.count, metavar="B", help="(default: 8, segment: 4)"
    )
    group.add_argument(
        "--weights", nargs="+", metavar="METHOD=FILE", help="learned parts of a method"
    )
    group.add_argument(
        "--background",
        nargs="*",
        metavar="WORDS",
        help='segment: of the class named "background"; detect: as in `dense detect`',
    )
    group.add_argument(
        "--short-side", type=numbers.side, metavar="PX", help="input size (default: as advised)"
    )


def _add_inspect_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("inspection")
    group.add_argument(
        "--shots", nargs="+", type=numbers.whole(0), metavar="K", help="(default: 0 1 2 4)"
    )
    group.add_argument(
        "--seeds", nargs="+", type=numbers.seed, metavar="S", help="(default: 0 1 2)"
    )
    group.add_argument("--categories", nargs="+", metavar="NAME", help="only these")
    group.add_argument("--layout", metavar="NAME", help="of all DATA (default: found out)")
    group.add_argument(
        "--product",
        nargs="+",
        metavar="CATEGORY=WORDS",
        help='what a category shows, e.g. elpv_mono="solar cell" (default: its name)',
    )
    group.add_argument(
        "--sizes",
        nargs="+",
        type=numbers.native_or_side,
        metavar="SIDE",
        help="sides at which pixels are scored, e.g. native 240 (default: native)",
    )
    group.add_argument(
        "--small-defects",
        action="store_true",
        default=None,
        help="also score the smallest third of the defects apart",
    )
    group.add_argument(
        "--exact",
        action="store_true",
        default=None,
        help="keep every pixel's score: more memory, slower",
    )


def _add_segment_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("segmentation")
    group.add_argument(
        "--refine",
        nargs="+",
        metavar="NAME",
        help="post-processing, a row each: none, pamr, crf, ..., or steps such as pamr+vote "
        "(default: none)",
    )
    group.add_argument(
        "--protocol",
        nargs="+",
        metavar="NAME",
        help="input size, windows and scale, a row each: whole, sclip, tcl (default: whole)",
    )
    group.add_argument(
        "--vocabulary",
        nargs="+",
        metavar="NAME",
        help="a row each: present (classes that occur in the masks), all, voc (default: present)",
    )
    group.add_argument(
        "--threshold", type=numbers.share_or_otsu, metavar="P", help="as in `dense segment`"
    )


def _add_detect_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("detection")
    group.add_argument(
        "--proposals",
        nargs="+",
        type=numbers.count,
        metavar="N",
        help="most regions of a picture, a row each (default: 300)",
    )
    group.add_argument(
        "--objectness",
        nargs="+",
        type=numbers.between(0, 10),
        metavar="E",
        help="exponent of the proposals' objectness in the score, a row each (default: 0.5)",
    )


OWN = {
    "inspect": (
        "shots",
        "seeds",
        "categories",
        "layout",
        "product",
        "weights",
        "sizes",
        "small_defects",
        "exact",
        "batch_size",
    ),
    "segment": (
        "refine",
        "protocol",
        "vocabulary",
        "background",
        "threshold",
        "short_side",
        "batch_size",
        "weights",
    ),
    "detect": ("weights", "background", "short_side", "proposals", "objectness"),
    "look": ("weights",),
    "explain": (),
}
"""Options that not all tasks have."""
