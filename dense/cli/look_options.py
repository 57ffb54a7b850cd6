"""Options of the commands that look at regions: which looker, and which regions."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import TYPE_CHECKING

from dense.cli import common
from dense.errors import InputError

if TYPE_CHECKING:
    from dense.apps.looking import RegionSource
    from dense.methods.looking.base import Setting


def add_looker_options(parser: argparse.ArgumentParser, default: str) -> None:
    """Add --looker, --weights and --set."""
    group = parser.add_argument_group("looker")
    group.add_argument(
        "--looker",
        default=default,
        metavar="NAME",
        help=f"see `dense methods --task look` (default: {default})",
    )
    group.add_argument("--weights", type=Path, metavar="FILE", help="learned parts, for alpha-clip")
    group.add_argument(
        "--set",
        nargs="+",
        metavar="KEY=VALUE",
        help="the looker's own settings, e.g. margins=0,0.1,0.2 or colour=green",
    )


def add_region_options(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """Add --regions, --boxes and --masks, of which one can be given."""
    group = parser.add_argument_group(f"regions (default: {otherwise})")
    only = group.add_mutually_exclusive_group()
    only.add_argument(
        "--regions",
        type=Path,
        metavar="FILE",
        help='{"photo.jpg": [[x0, y0, x1, y1], ...]} or COCO\'s format, masks included',
    )
    only.add_argument(
        "--boxes", nargs="+", metavar="X0,Y0,X1,Y1", help="in pixels, the same in every picture"
    )
    only.add_argument(
        "--masks",
        type=Path,
        metavar="FILE|DIR",
        help="a mask, or a folder of masks named as the pictures: every value above 0 is a region",
    )


def read_settings(entries: list[str] | None) -> dict[str, Setting]:
    """KEY=VALUE entries; values are Python literals, or else text.

    Raises:
        InputError: If an entry has another form, or a key comes twice.
    """
    found: dict[str, Setting] = {}
    for key, text in common.read_pairs(entries, "--set").items():
        try:
            value = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            value = text
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


def read_regions(arguments: argparse.Namespace) -> RegionSource | None:
    """The regions that were asked about; ``None`` if none were.

    Raises:
        InputError: If a file is unusable or a box is no four numbers.
    """
    from dense.apps import looking

    if arguments.regions is not None:
        return looking.regions_in_file(arguments.regions)
    if arguments.masks is not None:
        return looking.regions_in_masks(arguments.masks)
    if arguments.boxes is None:
        return None
    import numpy as np

    return looking.same_boxes(np.array([_box(text) for text in arguments.boxes], np.float32))


def _box(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4:
        raise InputError(f"--boxes expects X0,Y0,X1,Y1 in pixels, got {text!r}")
    return values
