"""Inspection of very large pictures in a stream: a reduced map and the places worth a look."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.apps.files import Report, Track
from dense.errors import InputError
from dense.images import write_image
from dense.methods.anomaly.base import Inspector
from dense.methods.anomaly.guided import GuidedInspector, Strip
from dense.methods.anomaly.tiles import Box
from dense.outputs import check_writable, output_names, write_json
from dense.strips import open_strips
from dense.structures import AnomalyResult, Size
from dense.visualize import draw_anomaly

SIDE = 2048
"""Longest side of the reduced map and picture that are written."""
PLACES = 20
"""Closer looks that are listed, those of the highest scores."""


class Reduced:
    """A picture and its map, smaller by a whole factor, filled strip by strip.

    A cell of the map is the highest value under it: small defects stay visible. The picture takes
    every n-th pixel.

    Args:
        size: (H, W) of the whole.
        side: Longest side wanted.
    """

    def __init__(self, size: Size, side: int = SIDE) -> None:
        self.factor = max(1, -(-max(size) // side))
        rows, columns = (-(-length // self.factor) for length in size)
        self.map = np.full((rows, columns), -np.inf, np.float32)
        self.image = np.zeros((rows, columns, 3), np.uint8)

    def add(self, top: int, strip: NDArray[np.float32], image: NDArray[np.uint8]) -> None:
        """Put rows from `top` on in: a map (h, W) and the picture (h, W, 3)."""
        factor = self.factor
        starts = np.arange(0, strip.shape[1], factor)
        across = np.maximum.reduceat(strip, starts, axis=1)
        np.maximum.at(self.map, (np.arange(len(strip)) + top) // factor, across)
        first = -top % factor
        some = image[first::factor, ::factor]
        begin = (top + first) // factor
        self.image[begin : begin + len(some)] = some


def inspect_strips(
    inspector: Inspector,
    paths: Sequence[Path],
    out: str | Path,
    *,
    category: str = "",
    scale: tuple[float, float] | None = None,
    track: Track[Strip] | None = None,
) -> Report:
    """Judge pictures of any height in bounded memory: ``NAME_heat.png`` and ``results.json``.

    Memory: one strip of fields and its map, the reduced picture, and one batch in the network.

    Args:
        inspector: A `GuidedInspector`.
        paths: TIFF or NumPy files; others are decoded whole.
        out: Folder of the results.
        category: Which of the inspector's products the pictures show.
        scale: (low, high) anomaly values of the heat colours; by default the method's.
        track: Wraps the strips of a picture in a progress bar.

    Raises:
        InputError: If the inspector is not guided, a picture cannot be read, or the place cannot
            be written.
    """
    if not isinstance(inspector, GuidedInspector):
        raise InputError("pictures are judged in strips by guided methods: add --guided")
    out, started = check_writable(out), time.perf_counter()
    scale = scale or inspector.heat_scale
    records = [
        _judge(inspector, path, out / f"{name}_heat.png", category, scale, track)
        for name, path in zip(output_names(paths), paths, strict=True)
    ]
    report: Report = {
        "command": "inspect",
        "method": inspector.describe(),
        "product": inspector.products.get(category, category),
        "scale": list(scale),
        "images": records,
        "skipped": [],
        "seconds": round(time.perf_counter() - started, 3),
    }
    write_json(out / "results.json", report)
    return report


def _judge(
    inspector: GuidedInspector,
    path: Path,
    heat: Path,
    category: str,
    scale: tuple[float, float],
    track: Track[Strip] | None,
) -> Report:
    begun, source = time.perf_counter(), open_strips(path)
    reduced = Reduced(source.size)
    scores: list[float] = []
    looks: list[tuple[Box, float]] = []
    strips: Iterable[Strip] = inspector.stream(source, category)
    if track:
        strips = track(strips, len(inspector.tops(source.size)), path.name)
    for strip in strips:
        reduced.add(strip.top, strip.anomaly_map, strip.image)
        scores += strip.scores
        looks += strip.looks
    score = max(scores)
    result = AnomalyResult(reduced.map, score)
    write_image(heat, draw_anomaly(reduced.image, result, scale=scale))
    return {
        "file": str(path),
        "height": source.size[0],
        "width": source.size[1],
        "seconds": round(time.perf_counter() - begun, 4),
        "score": score,
        "is_anomalous": None if inspector.threshold is None else score >= inspector.threshold,
        "peak": _peak(reduced),
        "places": _places(looks),
        "heat": heat.name,
        "reduced_by": reduced.factor,
    }


def _places(looks: Sequence[tuple[Box, float]]) -> list[dict[str, object]]:
    best = sorted(looks, key=lambda look: -look[1])[:PLACES]
    return [
        {"box": [left, top, right, bottom], "score": score}
        for (top, left, bottom, right), score in best
    ]


def _peak(reduced: Reduced) -> dict[str, object]:
    y, x = np.unravel_index(int(reduced.map.argmax()), reduced.map.shape)
    value = float(reduced.map[y, x])
    return {"x": int(x) * reduced.factor, "y": int(y) * reduced.factor, "value": value}
