"""Segment a video by words, or find objects in it: a file, a camera or a stream; writes an mp4.

Examples:
    python demo/video_demo.py walk.avi --classes "person" "grass" --every 5 --lag 2 --out walk.mp4
    python demo/video_demo.py walk.avi --detect --classes "person" "dog" --every 5 --out boxes.mp4
    python demo/video_demo.py 0 --classes "hand" "keyboard" --limit 200
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from dense import apps
from dense.cli import common
from dense.errors import DenseError
from dense.methods.detection.detector import TO_LOOK_AT


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Segment a video by words.")
    parser.add_argument("source", help="file, camera index or stream address")
    parser.add_argument("--classes", nargs="+", required=True, metavar="WORDS")
    parser.add_argument("--background", nargs="+", default=[], metavar="WORDS")
    parser.add_argument("--threshold", type=float, default=0.0, metavar="P")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th frame")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after this many frames")
    parser.add_argument(
        "--lag",
        type=float,
        default=0.0,
        metavar="N",
        help="smooth over time, against flicker; the picture is N frames late (try 2)",
    )
    parser.add_argument("--detect", action="store_true", help="boxes in place of segments")
    parser.add_argument("--short-side", type=int, metavar="PX", help="input size")
    parser.add_argument("--out", type=Path, default=Path("out/video_demo.mp4"), metavar="FILE")
    common.add_model_options(parser)
    return parser.parse_args(argv)


def segment(arguments: argparse.Namespace) -> apps.Report:
    """Class colours over every frame."""
    segmentor = apps.make_segmentor(
        apps.load_backbone(common.model_options(arguments)),
        arguments.classes,
        background=arguments.background,
        threshold=arguments.threshold,
        short_side=arguments.short_side,
    )
    return apps.segment_video(
        segmentor,
        arguments.source,
        arguments.out,
        every=arguments.every,
        limit=arguments.limit,
        lag=arguments.lag,
        track=common.track,
    )


def detect(arguments: argparse.Namespace) -> apps.Report:
    """Boxes in every frame."""
    least = arguments.threshold or TO_LOOK_AT.least
    settings = replace(TO_LOOK_AT, short_side=arguments.short_side, least=least)
    detector = apps.make_detector(
        apps.load_backbone(common.model_options(arguments)),
        arguments.classes,
        background=arguments.background or None,
        settings=settings,
    )
    return apps.detect_video(
        detector,
        arguments.source,
        arguments.out,
        every=arguments.every,
        limit=arguments.limit,
        track=common.track,
    )


def main(argv: list[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    arguments = parse(argv)
    try:
        report = detect(arguments) if arguments.detect else segment(arguments)
    except DenseError as error:
        print(f"video_demo: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"video_demo: interrupted; frames so far are in {arguments.out}", file=sys.stderr)
        return 130
    print(f"wrote {report['frames']} frames to {arguments.out} in {report['seconds']} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
