"""Procedural industrial surfaces and parts: seeded, endless, without any picture from outside.

They serve as clean material for `dense.datasets.defects`. Each maker draws an image of one kind of
surface with random scale, contrast, colour and lighting; `make_surface` picks a kind, adds uneven
illumination and sensor noise and names what is shown, so that a caption can be written.

Arrays are (H, W) or (H, W, 3) float32 in [0, 1] inside this module and (H, W, 3) uint8 outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from dense.errors import InputError, unknown_name

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Surface:
    """A clean picture and what it shows.

    Attributes:
        image: (H, W, 3) uint8.
        name: Words for captions, e.g. ``"brushed metal"``.
        part: (H, W) bool, where the part is; all true for a surface that fills the picture.
    """

    image: NDArray[np.uint8]
    name: str
    part: NDArray[np.bool_]


def noise(size: int, sigma: float | tuple[float, float], rng: Generator) -> Field:
    """Smoothed white noise, (size, size), rescaled to [0, 1]."""
    field = ndimage.gaussian_filter(rng.standard_normal((size, size)), sigma, mode="wrap")
    return unit(field)


def unit(field: NDArray[np.floating]) -> Field:
    """Rescale to [0, 1]; a constant field becomes 0."""
    low, high = float(field.min()), float(field.max())
    return ((field - low) / max(high - low, 1e-6)).astype(np.float32)


def _brushed_metal(size: int, rng: Generator) -> Field:
    streak = noise(size, (rng.uniform(0.3, 0.8), rng.uniform(6, 30)), rng)
    return 0.5 + (streak - 0.5) * rng.uniform(0.15, 0.7)


def _cast_metal(size: int, rng: Generator) -> Field:
    fine, coarse = noise(size, rng.uniform(0.5, 1.5), rng), noise(size, rng.uniform(3, 8), rng)
    return 0.5 + (fine - 0.5) * rng.uniform(0.1, 0.5) + (coarse - 0.5) * rng.uniform(0.0, 0.4)


def _smooth(size: int, rng: Generator) -> Field:
    return 0.5 + (noise(size, rng.uniform(0.5, 2), rng) - 0.5) * rng.uniform(0.01, 0.12)


def _ground(size: int, rng: Generator) -> Field:
    grain = noise(size, (rng.uniform(0.6, 1.4), rng.uniform(1.0, 4.0)), rng)
    level = 0.5 + (grain - 0.5) * rng.uniform(0.1, 0.5)
    if rng.random() < 0.4:  # machining steps: bands of different brightness
        edges = np.sort(rng.uniform(0, size, rng.integers(1, 4)))
        bands = np.searchsorted(edges, np.arange(size)) % 2
        level = level + bands[:, None] * rng.uniform(-0.2, 0.2)
    return level.astype(np.float32)


def _coordinates(size: int, rng: Generator) -> tuple[Field, Field]:
    angle = rng.choice([0.0, np.pi / 4, rng.uniform(0, np.pi)], p=[0.6, 0.15, 0.25])
    y, x = np.mgrid[:size, :size].astype(np.float32)
    c, s = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return c * y + s * x, c * x - s * y


def _grid(size: int, rng: Generator) -> Field:
    y, x = _coordinates(size, rng)
    period, width = rng.uniform(size / 24, size / 6), rng.uniform(0.15, 0.5)
    lines = ((y % period) < width * period) | ((x % period) < width * period)
    level = ndimage.gaussian_filter(lines.astype(np.float32), 0.7)
    return 0.5 + (level - 0.5) * rng.uniform(-0.8, 0.8)


def _fabric(size: int, rng: Generator) -> Field:
    y, x = _coordinates(size, rng)
    period = rng.uniform(4, 14)
    weave = np.sin(2 * np.pi * y / period) * np.sin(2 * np.pi * x / period)
    if rng.random() < 0.4:
        weave = np.sin(2 * np.pi * (y + x * rng.choice([-1, 1])) / period)
    return 0.5 + weave * rng.uniform(0.05, 0.25) + (noise(size, 1, rng) - 0.5) * rng.uniform(0, 0.2)


def _cell(size: int, rng: Generator) -> Field:
    level = 0.6 + (noise(size, size / 4, rng) - 0.5) * rng.uniform(0.05, 0.3)
    if rng.random() < 0.55:  # polycrystalline: grains of different brightness
        seeds = rng.uniform(0, size, (int(rng.integers(30, 250)), 2))
        mask = np.ones((size, size), bool)
        points = seeds.astype(int)
        mask[points[:, 0], points[:, 1]] = False
        index = ndimage.distance_transform_edt(mask, return_distances=False, return_indices=True)
        shades = rng.standard_normal((size, size))
        grains = ndimage.gaussian_filter(shades[index[0], index[1]], rng.uniform(0.5, 2))
        level = level + grains * rng.uniform(0.02, 0.1)
        blots = ndimage.gaussian_filter(rng.standard_normal((size, size)), rng.uniform(2, 5))
        level = level - np.clip(unit(blots) - 0.62, 0, 1) * rng.uniform(0.0, 1.2)
    bars, phase = int(rng.integers(2, 6)), rng.uniform(0.2, 0.8)
    for k in range(bars):
        at = int((k + phase) * size / bars)
        level[at : at + max(1, int(size * rng.uniform(0.008, 0.03)))] *= rng.uniform(0.2, 0.5)
    fingers = rng.uniform(0, 0.12) * (np.arange(size) % int(rng.integers(3, 7)) == 0)
    level = level - fingers.astype(np.float32)[None]
    if rng.random() < 0.6:  # dark rim of the cell
        rim = int(size * rng.uniform(0.01, 0.05)) + 1
        level[:rim] = level[-rim:] = level[:, :rim] = level[:, -rim:] = rng.uniform(0, 0.2)
    return level.T.copy() if rng.random() < 0.5 else level


def _circuit(size: int, rng: Generator) -> Field:
    canvas = Image.new("L", (size, size), int(rng.uniform(60, 120)))
    pen, bright = ImageDraw.Draw(canvas), int(rng.uniform(150, 230))
    for _ in range(int(rng.integers(8, 30))):
        x, y = rng.integers(0, size, 2).tolist()
        path = [(x, y)]
        for _ in range(int(rng.integers(2, 6))):
            dx, dy = [(1, 0), (0, 1), (-1, 0), (0, -1), (1, 1)][int(rng.integers(5))]
            step = int(rng.integers(size // 16, size // 3))
            path.append((path[-1][0] + dx * step, path[-1][1] + dy * step))
        pen.line(path, fill=bright, width=int(rng.integers(1, 5)))
        radius = int(rng.integers(2, 6))
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=bright)
    return np.asarray(canvas, np.float32) / np.float32(255)


def _wood(size: int, rng: Generator) -> Field:
    y, _ = _coordinates(size, rng)
    warp = noise(size, size / 10, rng) * rng.uniform(5, 40)
    rings = np.sin((y + warp) * 2 * np.pi / rng.uniform(6, 24))
    grain = noise(size, (0.6, rng.uniform(4, 14)), rng) - 0.5
    return 0.5 + rings * rng.uniform(0.03, 0.15) + grain * rng.uniform(0.1, 0.4)


def _paper(size: int, rng: Generator) -> Field:
    return 0.5 + (noise(size, rng.uniform(0.4, 1), rng) - 0.5) * rng.uniform(0.05, 0.3)


def _stone(size: int, rng: Generator) -> Field:
    level = np.zeros((size, size), np.float32)
    for octave in range(5):
        level += noise(size, size / 4 / 2**octave, rng) / 1.6**octave
    return 0.5 + (unit(level) - 0.5) * rng.uniform(0.2, 0.8)


MAKERS: dict[str, tuple[Callable[[int, Generator], Field], tuple[str, ...]]] = {
    "brushed_metal": (_brushed_metal, ("brushed metal", "steel", "metal", "aluminium", "surface")),
    "cast_metal": (_cast_metal, ("cast metal", "casting", "metal surface", "iron", "tile")),
    "ground_metal": (_ground, ("machined metal", "metal part", "magnet", "tile", "metal tile")),
    "smooth": (_smooth, ("plastic", "painted surface", "glass", "ceramic", "surface")),
    "grid": (_grid, ("grid", "mesh", "wire mesh", "panel", "texture")),
    "fabric": (_fabric, ("fabric", "cloth", "woven fabric", "textile", "carpet")),
    "cell": (_cell, ("cell", "panel", "solar cell", "photovoltaic cell", "wafer")),
    "circuit": (_circuit, ("circuit board", "circuit", "electronic board", "pcb", "board")),
    "wood": (_wood, ("wood", "wooden board", "veneer", "plank", "surface")),
    "paper": (_paper, ("paper", "cardboard", "leather", "material", "texture")),
    "stone": (_stone, ("stone", "concrete", "marble", "wall", "texture")),
}
PART_NAMES = ("part", "metal part", "component", "object", "workpiece", "product", "tool", "item")


def _outline(size: int, rng: Generator) -> NDArray[np.bool_]:
    """A random part: disc, ring, rod, plate, gear or screw-like rod with a head, (size, size)."""
    canvas = Image.new("L", (2 * size, 2 * size), 0)
    pen, c, r = ImageDraw.Draw(canvas), size, size * rng.uniform(0.45, 0.8)
    kind = int(rng.integers(5))
    if kind == 0:
        pen.ellipse([c - r, c - r, c + r, c + r], fill=255)
        if rng.random() < 0.6:
            hole = r * rng.uniform(0.2, 0.7)
            pen.ellipse([c - hole, c - hole, c + hole, c + hole], fill=0)
    elif kind == 1:
        half = r * rng.uniform(0.3, 1.0)
        pen.rounded_rectangle([c - r, c - half, c + r, c + half], r * rng.uniform(0.02, 0.3), 255)
    elif kind == 2:
        teeth = int(rng.integers(8, 28))
        angles = np.arange(4 * teeth) * np.pi / 2 / teeth
        radii = np.where(np.arange(4 * teeth) % 4 < 2, r, r * rng.uniform(0.75, 0.92))
        xy = np.stack([c + radii * np.cos(angles), c + radii * np.sin(angles)], 1)
        pen.polygon([tuple(p) for p in xy.tolist()], fill=255)
    else:  # rod with threads and a head
        half, head, pitch = r * rng.uniform(0.1, 0.2), r * rng.uniform(0.2, 0.4), rng.uniform(6, 16)
        pen.rectangle([c - r, c - head, c - r * 0.75, c + head], fill=255)
        xs = np.arange(c - r * 0.8, c + r)
        teeth_height = half * (1 + 0.18 * np.sign(np.sin(2 * np.pi * xs / pitch)) * (kind == 4))
        top = list(zip(xs.tolist(), (c - teeth_height).tolist(), strict=True))
        low = list(zip(xs.tolist(), (c + teeth_height).tolist(), strict=True))
        pen.polygon(top + low[::-1], fill=255)
    turned = canvas.rotate(rng.uniform(0, 360), Image.Resampling.BILINEAR)
    return np.asarray(turned.resize((size, size), Image.Resampling.BOX)) > 127


def _colour(level: Field, rng: Generator, *, grey: bool) -> Field:
    """Tint a grey level field: (H, W) to (H, W, 3)."""
    level = level * rng.uniform(0.4, 1.1) + rng.uniform(-0.15, 0.25)
    if grey:
        return np.repeat(level[..., None], 3, axis=2).astype(np.float32)
    tint = 1 + rng.uniform(-0.45, 0.45, 3)
    return (level[..., None] * tint).astype(np.float32)


def _part(size: int, rng: Generator, *, grey: bool) -> tuple[Field, NDArray[np.bool_]]:
    """A shaded part on a plain background: image (size, size, 3) and where the part is."""
    outline = _outline(size, rng)
    inside = MAKERS[str(rng.choice(["brushed_metal", "cast_metal", "smooth", "ground_metal"]))][0]
    depth = np.clip(
        ndimage.distance_transform_edt(outline) / (size * rng.uniform(0.02, 0.08)), 0, 1
    )
    gy, gx = np.gradient(ndimage.gaussian_filter(depth, 1.0))
    light = rng.uniform(-3, 3, 2)
    level = inside(size, rng) + np.clip(gy * light[0] + gx * light[1], -0.4, 0.4)
    body = _colour(level.astype(np.float32), rng, grey=grey)
    back = _colour(_smooth(size, rng), rng, grey=grey)
    if abs(float(body.mean() - back.mean())) < 0.2:
        back = back + (0.35 if body.mean() < 0.5 else -0.35)
    alpha = ndimage.gaussian_filter(outline.astype(np.float32), 0.6)[..., None]
    return (body * alpha + back * (1 - alpha)).astype(np.float32), outline


def make_surface(size: int, rng: Generator, *, kind: str | None = None) -> Surface:
    """Draw one clean surface or part.

    Args:
        size: Side of the square picture in pixels, at least 32.
        rng: Source of all randomness: the same state gives the same picture.
        kind: A key of `MAKERS`, ``"part"`` for a part on a plain background, or None for any.

    Returns:
        The picture, its name and where the part is.

    Raises:
        InputError: If ``size`` is too small or ``kind`` is unknown.
    """
    if size < 32:
        raise InputError(f"the surface is {size} pixels wide, expected 32 or more: raise `size`")
    if kind is None:
        kind = "part" if rng.random() < 0.25 else str(rng.choice(sorted(MAKERS)))
    if kind != "part" and kind not in MAKERS:
        raise unknown_name("surface kind", kind, [*MAKERS, "part"])
    grey = bool(rng.random() < 0.55)
    if kind == "part":
        image, part = _part(size, rng, grey=grey)
        name = str(rng.choice(PART_NAMES))
    else:
        maker, names = MAKERS[kind]
        image, part = _colour(maker(size, rng), rng, grey=grey), np.ones((size, size), bool)
        name = str(rng.choice(names))
    shade = 1 + (noise(size, size / 3, rng)[..., None] - 0.5) * rng.uniform(0, 0.5)
    grain = rng.standard_normal((size, size, 1)) * rng.uniform(0, 0.02)
    pixels = np.clip(image * shade + grain, 0.02, 0.98) * 255
    return Surface(pixels.astype(np.uint8), name, part)
