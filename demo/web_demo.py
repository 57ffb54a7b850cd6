"""Try words on a picture in the browser: a small page on this machine, made by gradio.

Example:
    pip install gradio
    python demo/web_demo.py --port 7860
"""

from __future__ import annotations

import argparse
import sys

import numpy as np
from numpy.typing import NDArray

from dense import apps
from dense.backbones import CLIPBackbone
from dense.cli import common
from dense.errors import DenseError, InputError, MissingDependencyError
from dense.postprocess import abstain
from dense.structures import Sample
from dense.visualize import draw_segmentation

Picture = NDArray[np.uint8]


def try_words(
    backbone: CLIPBackbone, image: Picture | None, words: str, below: float
) -> tuple[Picture | None, str]:
    """Segment a picture by words, one class a line; pixels less sure than `below` stay undecided.

    Returns:
        The overlay, and the share of each class, or what is wrong in place of both.
    """
    try:
        if image is None:
            raise InputError("choose a picture first")
        segmentor = apps.make_segmentor(backbone, [w for w in words.splitlines() if w.strip()])
        result = abstain(segmentor.predict([Sample(image)])[0], below)
    except DenseError as error:
        return None, str(error)
    shares = (f"{entry['name']}: {entry['share']:.0%}" for entry in apps.class_shares(result))
    return draw_segmentation(image, result), "\n".join(shares)


def main(argv: list[str] | None = None) -> int:
    """Serve the page until interrupted and return the exit code."""
    parser = argparse.ArgumentParser(description="Try words on a picture in the browser.")
    parser.add_argument("--port", type=int, default=7860)
    common.add_model_options(parser)
    arguments = parser.parse_args(argv)
    try:
        serve(apps.load_backbone(common.model_options(arguments)), arguments.port)
    except DenseError as error:
        print(f"web_demo: error: {error}", file=sys.stderr)
        return 2
    return 0


def serve(backbone: CLIPBackbone, port: int) -> None:
    """Show the page at ``http://127.0.0.1:PORT``; nothing is sent elsewhere.

    Raises:
        MissingDependencyError: If gradio is not installed.
    """
    try:
        import gradio
    except ImportError as error:
        raise MissingDependencyError(
            "the web page needs the package gradio: pip install gradio"
        ) from error
    page = gradio.Interface(
        lambda image, words, below: try_words(backbone, image, words, below),
        [
            gradio.Image(label="picture"),
            gradio.Textbox("cat; kitten\nwooden table", lines=5, label="one class a line"),
            gradio.Slider(0, 1, 0, label="leave pixels below this confidence undecided"),
        ],
        [gradio.Image(label="classes"), gradio.Textbox(label="share of the picture")],
        title="Words on a picture",
        flagging_mode="never",
        analytics_enabled=False,
    )
    page.launch(server_name="127.0.0.1", server_port=port, share=False)


if __name__ == "__main__":
    sys.exit(main())
