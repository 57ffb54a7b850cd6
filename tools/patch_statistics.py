"""What segmentation methods make of a tower's patches, without any words.

For each method: `shared`, the length of the mean unit feature (1: all patches are one vector);
`neighbours`, the mean cosine of adjacent patches once that mean is taken away; `trained`, the mean
cosine to the last block as trained. Before them the lengths of the last block's parts, and the
entropy of its attentions over that of an even one.

    python tools/patch_statistics.py MY_DATA --methods maskclip sclip gem --limit 5
"""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from dense import apps
from dense.backbones.attention import AS_TRAINED, last_block
from dense.backbones.blocks import run_patches
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.cli import common, numbers
from dense.errors import DenseError
from dense.images import find_images, read_image
from dense.methods.batching import resized
from dense.methods.segmentation.base import LastBlockMethod
from dense.methods.segmentor import OpenVocabSegmentor
from dense.providers import fitted

Row = dict[str, float]


def last_block_row(vit: DenseViT, trace: Trace) -> Row:
    """Lengths of the last block's parts, and relative entropies of its attentions."""
    block, x, layout = vit.tower.blocks[-1], trace.entering[-1], trace.layout
    bare, plain = (
        run_patches(block, x, last_block(name, residual=residual, feed_forward=False), layout)
        for name, residual in (("value", False), ("plain", True))
    )
    parts = {"residual": x[:, layout.prefix :], "values": bare}
    parts["feed-forward"] = block.feed_forward(plain)
    q, k, _ = block.qkv(x)
    pairs = {"q k": (q, k), "q q": (q, q), "k k": (k, k)}
    row = {name: float(part.norm(dim=-1).mean()) for name, part in parts.items()}
    return row | {name: entropy(*pair, layout.prefix) for name, pair in pairs.items()}


def entropy(q: Tensor, k: Tensor, prefix: int) -> float:
    """Mean entropy of the patches' attention over the highest possible."""
    weights = (q[:, :, prefix:] @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
    return float(torch.special.entr(weights).sum(-1).mean()) / math.log(k.shape[-2])


def method_row(dense: Tensor, trained: Tensor) -> Row:
    """Statistics of the features (1, D, gh, gw) of one picture."""
    unit, plain = (F.normalize(part[0].float(), dim=0) for part in (dense, trained))
    centred = F.normalize(unit - unit.mean((1, 2), keepdim=True), dim=0)
    down = (centred[:, 1:] * centred[:, :-1]).sum(0).mean()
    across = (centred[:, :, 1:] * centred[:, :, :-1]).sum(0).mean()
    return {
        "shared": float(unit.mean((1, 2)).norm()),
        "neighbours": float(down + across) / 2,
        "trained": float((unit * plain).sum(0).mean()),
    }


@torch.inference_mode()
def measure(segmentors: dict[str, OpenVocabSegmentor], paths: list[Path]) -> dict[str, Row]:
    """Means over pictures, by method; those of the last block as trained come first."""
    found: dict[str, list[Row]] = {}
    for path in paths:
        image = read_image(path)
        first = next(iter(segmentors.values()))
        vit, size = first.backbone.vit, first.input_size((image.shape[0], image.shape[1]))
        trace = vit.trace(resized(first.backbone, [image], size))
        trained = LastBlockMethod(AS_TRAINED).dense(vit, trace)
        found.setdefault("last block", []).append(last_block_row(vit, trace))
        for name, segmentor in segmentors.items():
            dense = fitted(segmentor.method.dense(vit, trace).float(), trace.layout.grid)
            found.setdefault(name, []).append(method_row(dense, trained))
    return {
        name: {key: sum(row[key] for row in rows) / len(rows) for key in rows[0]}
        for name, rows in found.items()
    }


def main(argv: list[str] | None = None) -> int:
    """Run the measurement and return the exit code."""
    parser = argparse.ArgumentParser(description="What methods make of a tower's patches.")
    parser.add_argument("source", metavar="IMAGE|DIR|GLOB")
    parser.add_argument("--methods", nargs="+", required=True, metavar="NAME")
    parser.add_argument("--limit", type=numbers.count, default=5, metavar="N", help="pictures")
    common.add_model_options(parser)
    arguments = parser.parse_args(argv)
    try:
        paths = find_images(arguments.source)
        backbone = apps.load_backbone(common.model_options(arguments))
        segmentors = {
            name: apps.make_segmentor(backbone, ["any", "word"], method=name)
            for name in arguments.methods
        }
        take = min(arguments.limit, len(paths))
        rows = measure(segmentors, [paths[k * len(paths) // take] for k in range(take)])
    except DenseError as error:
        print(f"patch_statistics: error: {error}", file=sys.stderr)
        return 2
    for name, row in rows.items():
        print(name, *(f"{key} {value:.3g}" for key, value in row.items()), sep="\t")
    return 0


if __name__ == "__main__":
    sys.exit(main())
