"""Segment a video by words: a file, a camera index or a stream address; writes an mp4.

Examples:
    python demo/video_demo.py walk.avi --classes "person" "grass" "path" --every 5 --out walk.mp4
    python demo/video_demo.py 0 --classes "hand" "keyboard" --limit 200
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dense import apps
from dense.cli import common
from dense.errors import DenseError


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Segment a video by words.")
    parser.add_argument("source", help="file, camera index or stream address")
    parser.add_argument("--classes", nargs="+", required=True, metavar="WORDS")
    parser.add_argument("--background", nargs="+", default=[], metavar="WORDS")
    parser.add_argument("--threshold", type=float, default=0.0, metavar="P")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every n-th frame")
    parser.add_argument("--limit", type=int, metavar="N", help="stop after this many frames")
    parser.add_argument("--short-side", type=int, metavar="PX", help="input size")
    parser.add_argument("--out", type=Path, default=Path("out/video_demo.mp4"), metavar="FILE")
    common.add_model_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    arguments = parse(argv)
    try:
        segmentor = apps.make_segmentor(
            apps.load_backbone(common.model_options(arguments)),
            arguments.classes,
            background=arguments.background,
            threshold=arguments.threshold,
            short_side=arguments.short_side,
        )
        report = apps.segment_video(
            segmentor,
            arguments.source,
            arguments.out,
            every=arguments.every,
            limit=arguments.limit,
            track=common.track,
        )
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
