"""Rebuild `data/samples` from photographs that ship inside scikit-image and scikit-learn.

Photos are re-encoded as JPEG. The two inspected surfaces are cut into tiles; on some tiles a
defect is drawn by the functions below (documented in `data/samples/LICENSES.md`): the surfaces are
real, their defects are not. Same output for the same package versions and seed.

Usage: python tools/make_samples.py [--out data/samples]
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

Picture = NDArray[np.uint8]
Mask = NDArray[np.bool_]

TILE = 170
PHOTOS = ("rocket.jpg", "coffee.png")
FLICKR = ("china.jpg",)
SURFACES = {"brick paving": ("brick.png", "crack"), "gravel": ("gravel.png", "stain")}
SUPPORT, GOOD, BAD = (0, 2, 6, 8), (3,), (4, 5)


def crack(tile: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Draw a jagged dark crack with a branch and a thin bright lip across a tile."""
    side = tile.shape[0]
    line = np.zeros(tile.shape[:2], np.uint8)
    start = np.array([rng.uniform(0.1, 0.3), rng.uniform(0.15, 0.35)]) * side
    path = _walk(start, rng.uniform(0.5, 0.9), side * 0.75, rng)
    branch = _walk(path[len(path) // 2], rng.uniform(-0.6, -0.2), side * 0.3, rng)
    for points, width in ((path, 2.4), (branch, 1.4)):
        for place, (first, second) in enumerate(itertools.pairwise(points)):
            thick = max(1, round(width * (1.15 - place / len(points))))
            a, b = (tuple(int(v) for v in np.rint(point)) for point in (first, second))
            cv2.line(line, a, b, 255, thick, cv2.LINE_AA)
    depth = cv2.GaussianBlur(line, (0, 0), 0.7).astype(np.float32) / 255
    lip = np.clip(np.roll(depth, (1, 1), (0, 1)) - depth, 0, 1)
    out = tile * (1 - 0.85 * depth[..., None]) + 30 * lip[..., None]
    return out.clip(0, 255).astype(np.uint8), cv2.dilate(line, np.ones((3, 3))) > 64


def stain(tile: Picture, rng: np.random.Generator) -> tuple[Picture, Mask]:
    """Soak an irregular patch of a tile with something dark and glossy, like oil."""
    side = tile.shape[0]
    noise = cv2.GaussianBlur(rng.normal(size=tile.shape[:2]).astype(np.float32), (0, 0), side / 12)
    ys, xs = np.mgrid[:side, :side] / side
    centre = rng.uniform(0.4, 0.6, 2)
    distance = np.hypot(ys - centre[0], (xs - centre[1]) * 0.8)
    shape = distance + 0.07 * noise / noise.std()
    soak = 1 / (1 + np.exp((shape - 0.2) / 0.012))
    blurred = cv2.GaussianBlur(tile, (0, 0), 1.0).astype(np.float32)
    dark = np.array([0.30, 0.27, 0.22]) * blurred + 0.10 * np.maximum(blurred - 150, 0)
    out = tile * (1 - soak[..., None]) + dark * soak[..., None]
    return out.clip(0, 255).astype(np.uint8), soak > 0.5


def _walk(
    start: NDArray[np.float64], angle: float, length: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    points, step = [start], 4.0
    while len(points) * step < length:
        heading = angle + rng.normal(0, 0.55)
        points.append(points[-1] + step * np.array([np.cos(heading), np.sin(heading)]))
    return np.array(points)


def _save(path: Path, picture: Picture, quality: int = 92) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=quality, optimize=True)


def _make_photos(out: Path) -> None:
    import skimage
    import sklearn

    data = Path(skimage.__file__).parent / "data"
    for name in PHOTOS:
        picture = np.asarray(Image.open(data / name).convert("RGB"))
        _save(out / "photos" / f"{Path(name).stem}.jpg", picture)
    images = Path(sklearn.__file__).parent / "datasets" / "images"
    for name in FLICKR:
        picture = np.asarray(Image.open(images / name).convert("RGB"))
        _save(out / "photos" / name, picture)


def _make_surfaces(out: Path, seed: int) -> None:
    import skimage

    data = Path(skimage.__file__).parent / "data"
    for product, (name, kind) in SURFACES.items():
        whole = np.asarray(Image.open(data / name).convert("RGB"))
        corners = [(y, x) for y in range(0, 3 * TILE, TILE) for x in range(0, 3 * TILE, TILE)]
        tiles = [whole[y : y + TILE, x : x + TILE] for y, x in corners]
        folder = out / "surfaces" / product.replace(" ", "_")
        for place in SUPPORT:
            _save(folder / "train" / "good" / f"{place}.jpg", tiles[place])
        for place in GOOD:
            _save(folder / "test" / "good" / f"{place}.jpg", tiles[place])
        for place in BAD:
            rng = np.random.default_rng([seed, place])
            picture, mask = {"crack": crack, "stain": stain}[kind](tiles[place], rng)
            _save(folder / "test" / kind / f"{place}.jpg", picture)
            _save(folder / "ground_truth" / kind / f"{place}_mask.png", mask.astype(np.uint8) * 255)


def main() -> None:
    """Rebuild everything."""
    parser = argparse.ArgumentParser(description="Rebuild data/samples.")
    parser.add_argument("--out", type=Path, default=Path("data/samples"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    _make_photos(arguments.out)
    _make_surfaces(arguments.out, arguments.seed)


if __name__ == "__main__":
    main()
