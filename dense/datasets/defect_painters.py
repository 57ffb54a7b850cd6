"""How each kind of damage is painted, warped or cut into a picture; see `dense.datasets.defects`.

A painter gets a scene and gives the damaged picture, (H, W, 3) in [0, 255], and how much of each
pixel it covered, (H, W) in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from dense.datasets.surfaces import noise

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """What a painter gets: the picture in [0, 255], where damage belongs, its size and place."""

    image: Array
    part: NDArray[np.bool_]
    other: Array
    size: float
    centre: tuple[float, float]
    rng: Generator


Painter = Callable[[Scene], tuple[Array, Array]]


def _blend(image: Array, colour: Array | float, alpha: Array) -> Array:
    return image * (1 - alpha[..., None]) + colour * alpha[..., None]


def _strokes(scene: Scene, count: int, jitter: float, width: tuple[float, float]) -> Array:
    """Random walks through the centre, drawn as lines: (H, W) coverage in [0, 1]."""
    (h, w), rng = scene.part.shape, scene.rng
    canvas = Image.new("L", (2 * w, 2 * h), 0)
    pen = ImageDraw.Draw(canvas)
    for _ in range(count):
        length = scene.size * max(h, w) * rng.uniform(0.6, 1.4)
        step, angle = rng.uniform(2, 5), rng.uniform(0, 2 * np.pi)
        y, x = np.asarray(scene.centre) + rng.standard_normal(2) * length * 0.15
        y, x = y - np.sin(angle) * length / 2, x - np.cos(angle) * length / 2
        points = [(2 * x, 2 * y)]
        for _ in range(max(2, int(length / step))):
            angle += rng.standard_normal() * jitter
            y, x = y + step * np.sin(angle), x + step * np.cos(angle)
            points.append((2 * x, 2 * y))
        pen.line(points, fill=255, width=max(1, round(2 * rng.uniform(*width))))
    small = canvas.resize((w, h), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / np.float32(255)


def _blob(scene: Scene, *, rough: float = 1.0, squeeze: float = 0.5) -> Array:
    """A ragged ellipse around the centre: (H, W) in {0, 1}."""
    (h, w), rng = scene.part.shape, scene.rng
    radius = max(1.5, scene.size * max(h, w) / 2)
    y, x = np.mgrid[:h, :w]
    y, x = y - scene.centre[0], x - scene.centre[1]
    angle, ratio = rng.uniform(0, np.pi), 1 - rng.uniform(0, squeeze)
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    ragged = noise(max(h, w), radius / 2 + 1, rng)[:h, :w] - 0.5
    inside = np.hypot(u, v / ratio) + ragged * radius * rough < radius
    return inside.astype(np.float32)


def _scratch(scene: Scene) -> tuple[Array, Array]:
    rng, count = scene.rng, int(scene.rng.integers(1, 4))
    cover = _strokes(scene, count, 0.06, (0.6, 2.2))
    tone = float(rng.choice([0.0, 255.0])) * rng.uniform(0.7, 1)
    return _blend(scene.image, tone, cover * rng.uniform(0.3, 0.9)), cover


def _crack(scene: Scene) -> tuple[Array, Array]:
    rng = scene.rng
    cover = _strokes(scene, int(rng.integers(1, 4)), rng.uniform(0.25, 0.7), (0.6, 2.5))
    tone = float(scene.image.min()) * rng.uniform(0, 0.6)
    return _blend(
        scene.image, tone, ndimage.gaussian_filter(cover, 0.4) * rng.uniform(0.5, 1)
    ), cover


def _stain(scene: Scene) -> tuple[Array, Array]:
    rng, cover = scene.rng, _blob(scene)
    mean = scene.image.mean((0, 1))
    colour = rng.uniform(0, 255, 3) if rng.random() < 0.4 else mean * rng.uniform(0.3, 1.6)
    soft = ndimage.gaussian_filter(cover, rng.uniform(0.5, 3)) * rng.uniform(0.25, 0.85)
    return _blend(scene.image, np.asarray(colour, np.float32), soft), cover


def _contamination(scene: Scene) -> tuple[Array, Array]:
    rng, cover = scene.rng, _blob(scene, rough=1.5)
    shift = rng.integers(0, scene.image.shape[0], 2)
    patch = np.roll(scene.other, tuple(int(s) for s in shift), (0, 1))
    return _blend(scene.image, patch, ndimage.gaussian_filter(cover, 0.6)), cover


def _warp(image: Array, dy: Array, dx: Array) -> Array:
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    planes = [
        ndimage.map_coordinates(image[..., c], [y + dy, x + dx], order=1, mode="reflect")
        for c in range(3)
    ]
    return np.stack(planes, -1)


def _dent(scene: Scene) -> tuple[Array, Array]:
    rng, cover = scene.rng, _blob(scene, rough=0.4)
    radius = scene.size * max(cover.shape) / 2
    bump = ndimage.gaussian_filter(cover, max(1.0, radius / 3))
    y, x = np.mgrid[: cover.shape[0], : cover.shape[1]].astype(np.float32)
    strength = rng.uniform(0.2, 0.8) * rng.choice([-1, 1])
    image = _warp(
        scene.image,
        (y - scene.centre[0]) * bump * strength,
        (x - scene.centre[1]) * bump * strength,
    )
    gy, gx = np.gradient(bump)
    light = gy * rng.uniform(-1, 1) + gx * rng.uniform(-1, 1)
    light = light / max(float(np.abs(light).max()), 1e-6) * rng.uniform(25, 90)
    return image + light[..., None], cover


def _hole(scene: Scene) -> tuple[Array, Array]:
    rng, cover = scene.rng, _blob(scene, rough=0.6)
    if rng.random() < 0.35:  # pores: several small ones
        spots = noise(max(cover.shape), rng.uniform(0.8, 2), rng)[
            : cover.shape[0], : cover.shape[1]
        ]
        porous = cover * (spots > np.quantile(spots, 0.85))
        cover = porous if porous.any() else cover
    tone = float(scene.image.min()) * rng.uniform(0, 0.8)
    rim = np.clip(ndimage.gaussian_filter(cover, 1.2) - cover, 0, 1) * rng.uniform(0, 1)
    image = scene.image + rim[..., None] * rng.uniform(-60, 90)
    return _blend(image, tone, ndimage.gaussian_filter(cover, 0.5) * rng.uniform(0.6, 1)), cover


def _background(scene: Scene) -> Array | float:
    if scene.part.all():
        return float(scene.rng.uniform(0, 255))
    outside = scene.image[~scene.part]
    return np.float32(1) * outside.mean(0) + scene.rng.standard_normal(3) * outside.std(0) * 0.2


def _missing(scene: Scene) -> tuple[Array, Array]:
    cover = _blob(scene, rough=0.3) * scene.part
    return _blend(scene.image, _background(scene), ndimage.gaussian_filter(cover, 0.5)), cover


def _chip(scene: Scene) -> tuple[Array, Array]:
    """Break a piece off the edge of the part, or off the side of a surface."""
    w, rng = scene.part.shape[1], scene.rng
    edge = scene.part & ~ndimage.binary_erosion(scene.part, border_value=0)
    points = np.argwhere(edge)
    y, x = points[int(rng.integers(len(points)))] if len(points) else (0, int(rng.integers(w)))
    moved = Scene(scene.image, scene.part, scene.other, scene.size, (float(y), float(x)), rng)
    cover = _blob(moved, rough=1.3) * scene.part
    return _blend(scene.image, _background(scene), ndimage.gaussian_filter(cover, 0.4)), cover


def _misplaced(scene: Scene) -> tuple[Array, Array]:
    """Copy a piece of the picture to where it does not belong."""
    (h, w), rng, cover = scene.part.shape, scene.rng, _blob(scene, rough=0.2)
    shift = (int(rng.integers(h // 8, h // 2 + 1)), int(rng.integers(w // 8, w // 2 + 1)))
    piece = np.roll(scene.image, shift, (0, 1))
    if rng.random() < 0.6:
        piece = np.rot90(piece, int(rng.integers(1, 4))) if h == w else piece[::-1, ::-1]
    return _blend(scene.image, piece, ndimage.gaussian_filter(cover, 0.4)), cover


def _fray(scene: Scene) -> tuple[Array, Array]:
    rng = scene.rng
    cover = _strokes(scene, int(rng.integers(5, 20)), 0.35, (0.4, 1.0))
    tone = scene.image.mean() + rng.choice([-1, 1]) * rng.uniform(50, 120)
    image = _blend(scene.image, float(np.clip(tone, 0, 255)), cover * rng.uniform(0.5, 0.9))
    blur = ndimage.gaussian_filter(cover, scene.size * 6 + 1)
    return image, (blur > 0.35 * blur.max()).astype(np.float32)


def _uneven(scene: Scene) -> tuple[Array, Array]:
    """A dark or bright zone with a soft or a straight border."""
    rng, (h, w) = scene.rng, scene.part.shape
    if rng.random() < 0.5:
        cover = _blob(scene, rough=0.8)
    else:
        cover, side = np.zeros((h, w), np.float32), max(2, int(scene.size * max(h, w)))
        y, x = (
            int(np.clip(c - side / 2, 0, max(0, n - 2)))
            for c, n in zip(scene.centre, (h, w), strict=True)
        )
        cover[y : y + side, x : x + int(side * rng.uniform(0.4, 2)) + 1] = 1
    gain = rng.uniform(0.25, 0.75) if rng.random() < 0.75 else rng.uniform(1.3, 1.7)
    soft = ndimage.gaussian_filter(cover, rng.uniform(0.5, 5))[..., None]
    return scene.image * (1 + (gain - 1) * soft), cover


def _bend(scene: Scene) -> tuple[Array, Array]:
    """Shift the picture sideways within a soft zone, so that straight structures bend."""
    rng, cover = scene.rng, _blob(scene, rough=0.2, squeeze=0.3)
    zone = ndimage.gaussian_filter(cover, max(1.5, scene.size * max(cover.shape) / 6))
    shift, angle = scene.size * max(cover.shape) * rng.uniform(0.25, 0.5), rng.uniform(0, 2 * np.pi)
    return _warp(scene.image, zone * shift * np.sin(angle), zone * shift * np.cos(angle)), cover


PAINTERS: dict[str, Painter] = {
    "scratch": _scratch,
    "crack": _crack,
    "stain": _stain,
    "contamination": _contamination,
    "dent": _dent,
    "hole": _hole,
    "missing": _missing,
    "chip": _chip,
    "misplaced": _misplaced,
    "fray": _fray,
    "uneven": _uneven,
    "bend": _bend,
}
