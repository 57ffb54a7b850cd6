"""Writes panoptic.json: what the authors' code counts in small made-up pictures.

Run by hand with panopticapi (github.com/cocodataset/panopticapi at 7bb4655) on the path:
PYTHONPATH=PANOPTICAPI python tests/reference/make_panoptic_reference.py
"""

from __future__ import annotations

import contextlib
import io
import json
import tempfile
from pathlib import Path

import numpy as np
from panopticapi.evaluation import pq_compute_single_core
from panopticapi.utils import id2rgb
from PIL import Image

CLASSES, SIZE, PICTURES = 4, (14, 18), 20
OUT = Path(__file__).with_name("panoptic.json")


def compact(grid: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the segments that are left from 1 on."""
    seen = [s for s in range(1, len(labels) + 1) if (grid == s).any()]
    out = np.zeros_like(grid)
    for place, number in enumerate(seen, 1):
        out[grid == number] = place
    return out, labels[[s - 1 for s in seen]]


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    grid, count = np.zeros(SIZE, np.int64), int(rng.integers(3, 8))
    for number in range(1, count + 1):
        y, x = rng.integers(0, 10, 2)
        grid[y : y + rng.integers(3, 10), x : x + rng.integers(3, 10)] = number
    return compact(grid, rng.integers(0, CLASSES, count))


def disturbed(
    rng: np.random.Generator, grid: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    grid, labels = np.roll(grid, rng.integers(-1, 2, 2), (0, 1)).copy(), labels.copy()
    if rng.random() < 0.5:
        labels[rng.integers(len(labels))] = rng.integers(CLASSES)
    y, x = rng.integers(0, 10, 2)
    grid[y : y + 4, x : x + 4] = rng.integers(0, len(labels) + 1)
    return compact(grid, labels)


def as_text(grid: np.ndarray) -> str:
    return " ".join("".join(map(str, row)) for row in grid.tolist())


def main() -> None:
    """Write the file."""
    rng = np.random.default_rng(7)
    pictures, pairs = [], []
    place = Path(tempfile.mkdtemp())
    for folder in ("truth", "found"):
        (place / folder).mkdir()
    for number in range(PICTURES):
        grid, labels = scene(rng)
        found, found_labels = disturbed(rng, grid, labels)
        twins = np.flatnonzero(labels == labels[0])
        crowd = np.arange(len(labels)) == (twins[0] if rng.random() < 0.5 else -1)
        rows = []
        for folder, ids, classes in (("truth", grid, labels), ("found", found, found_labels)):
            file = place / folder / f"{number}.png"
            Image.fromarray(id2rgb(ids).astype(np.uint8)).save(file)
            parts = [
                {"id": n, "category_id": int(c) + 1, "area": int((ids == n).sum()), "iscrowd": 0}
                for n, c in enumerate(classes, 1)
            ]
            rows.append({"image_id": number, "file_name": file.name, "segments_info": parts})
        for part, flag in zip(rows[0]["segments_info"], crowd, strict=True):
            part["iscrowd"] = int(flag)
        pairs.append(tuple(rows))
        pictures.append(
            {
                "truth": as_text(grid),
                "labels": labels.tolist(),
                "crowd": crowd.tolist(),
                "found": as_text(found),
                "found_labels": found_labels.tolist(),
            }
        )
    categories = {k + 1: {"id": k + 1, "isthing": int(k < 2)} for k in range(CLASSES)}
    with contextlib.redirect_stdout(io.StringIO()):
        counts = pq_compute_single_core(
            0, pairs, str(place / "truth"), str(place / "found"), categories
        )
    sums = {
        name: [float(getattr(counts[k + 1], name)) for k in range(CLASSES)]
        for name in ("tp", "fp", "fn", "iou")
    }
    means = {
        ending: {k: float(v) for k, v in counts.pq_average(categories, thing)[0].items()}
        for ending, thing in (("", None), ("_things", True), ("_stuff", False))
    }
    source = "github.com/cocodataset/panopticapi at 7bb4655, pq_compute_single_core"
    content = {"source": source, "pictures": pictures, "sums": sums, "means": means}
    OUT.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
