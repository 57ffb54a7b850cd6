"""Segment one picture by words, find objects in it, or inspect one, in a few lines.

Examples:
    python demo/image_demo.py photo.jpg --classes "cat" "wooden table" --out cat.png
    python demo/image_demo.py photo.jpg --detect "cat" "wooden table" --out boxes.png
    python demo/image_demo.py part.jpg --product "metal nut" --support good/ --out nut.png
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dense import apps
from dense.cli import common
from dense.errors import DenseError, InputError
from dense.images import read_image, write_image
from dense.structures import Sample
from dense.visualize import draw_anomaly, draw_detections, draw_segmentation, side_by_side


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Segment or inspect one picture.")
    parser.add_argument("image", type=Path)
    parser.add_argument("--classes", nargs="+", metavar="WORDS", help="segment by these words")
    parser.add_argument("--detect", nargs="+", metavar="WORDS", help="find objects by these words")
    parser.add_argument("--product", metavar="WORDS", help="inspect a picture of this product")
    parser.add_argument("--support", metavar="DIR", help="normal pictures of the product")
    parser.add_argument("--out", type=Path, default=Path("out/image_demo.png"), metavar="FILE")
    common.add_model_options(parser)
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Run the demo and return the exit code."""
    arguments = parse(argv)
    try:
        if sum(map(bool, (arguments.classes, arguments.detect, arguments.product))) != 1:
            raise InputError(
                "give one of --classes (segment), --detect (objects) and --product (inspect)"
            )
        image = read_image(arguments.image)
        backbone = apps.load_backbone(common.model_options(arguments))
        sample = Sample(image, arguments.image)
        if arguments.classes:
            segmentor = apps.make_segmentor(backbone, arguments.classes)
            result = segmentor.predict([sample])[0]
            picture = draw_segmentation(image, result)
        elif arguments.detect:
            found = apps.make_detector(backbone, arguments.detect).predict([sample])[0]
            picture = draw_detections(image, found)
        else:
            support = apps.read_support(arguments.support) if arguments.support else None
            inspector = apps.make_inspector(backbone, arguments.product, support=support)
            anomaly = inspector.predict([sample])[0]
            heat = draw_anomaly(image, anomaly, scale=inspector.heat_scale)
            picture = side_by_side([image, heat], ["picture", f"score {anomaly.score:.3f}"])
        write_image(arguments.out, picture)
    except DenseError as error:
        print(f"image_demo: error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
