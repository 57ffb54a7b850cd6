"""Colours and legends of the pictures that `visualize` draws.

The first class colours are those of Okabe and Ito (2008) and of Tol's "muted" set, which people
with the common colour-vision deficiencies can tell apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.fonts import draw_text, shorten, text_size

Picture = NDArray[np.uint8]


def undecided_index(num_classes: int) -> int:
    """Index of pixels without a class: 255, or 65535 where 255 is a class of its own."""
    return 255 if num_classes <= 255 else 65535


_BASE = (
    "E69F00 56B4E9 009E73 F0E442 0072B2 D55E00 CC79A7 332288 44AA99 882255 999933 88CCEE "
    "CC6677 117733 AA4499 DDCC77"
)
PAPER = (255, 255, 255)
INK = (24, 28, 34)
_MIN_WIDTH = 240
_LEGEND_ENTRIES = 24


def palette(count: int) -> NDArray[np.uint8]:
    """Return (count, 3) RGB class colours; the first 16 are colour-blind-safe.

    Later colours walk around the hue circle by the golden angle with three lightness levels.
    """
    base = [tuple(bytes.fromhex(code)) for code in _BASE.split()]
    extra = max(0, count - len(base))
    if extra:
        place = np.arange(extra)
        hsv = np.stack([place * 111 % 180, 150 + place % 2 * 80, 235 - place % 3 * 55], axis=-1)
        more = cv2.cvtColor(hsv.astype(np.uint8)[None], cv2.COLOR_HSV2RGB)[0]
        return np.concatenate([np.array(base, np.uint8), more])[:count]
    return np.array(base[:count], np.uint8).reshape(count, 3)


def mask_palette(count: int) -> NDArray[np.uint8]:
    """Return the (256, 3) palette of an index mask: class colours, then black; 255 is white."""
    colours = np.zeros((256, 3), np.uint8)
    colours[: min(count, 255)] = palette(min(count, 255))
    colours[255] = 255
    return colours


def legend_strip(
    class_names: Sequence[str], classes: Sequence[int], image_size: tuple[int, int]
) -> Picture:
    """Draw swatches and names of some classes in lines that fit below a picture (H, W)."""
    width = max(image_size[1], _MIN_WIDTH)
    size = text_height(image_size)
    line, gap = round(size * 1.7), round(size * 0.6)
    shown, hidden = list(classes[:_LEGEND_ENTRIES]), len(classes[_LEGEND_ENTRIES:])
    entries = [(index, _legend_text(class_names[index], size, width)) for index in shown]
    if hidden:
        entries.append((-1, f"and {hidden} more"))
    if not entries:
        entries = [(-1, "none of the words found")]
    spots, x, y = [], gap, gap // 2
    for index, text in entries:
        need = size + gap + text_size(text, size, f"class {index}")[1] + 2 * gap
        if x > gap and x + need > width:
            x, y = gap, y + line
        spots.append((x, y, index, text))
        x += need
    strip = np.full((y + line + gap // 2, width, 3), PAPER, np.uint8)
    colours = palette(len(class_names))
    for x, y, index, _ in spots:
        if index >= 0:
            top = y + (line - size) // 2
            strip[top : top + size, x : x + size] = colours[index]
    sheet = Image.fromarray(strip)
    for x, y, index, text in spots:
        top = y + (line - text_size(text, size, f"class {index}")[0]) // 2
        left = x + size + gap if index >= 0 else x
        draw_text(sheet, (left, top), text, size=size, colour=INK, fallback=f"class {index}")
    return np.asarray(sheet)


def heat_bar(scale: tuple[float, float], image_size: tuple[int, int]) -> Picture:
    """Draw the legend of a heat map: the colour run with its two end values."""
    width, size = max(image_size[1], _MIN_WIDTH), text_height(image_size)
    gap = round(size * 0.6)
    ends = [f"{value:.3g}" for value in scale]
    need = max(text_size(text, size)[1] for text in ends)
    strip = np.full((size + 2 * gap, width, 3), PAPER, np.uint8)
    left, right = need + 2 * gap, width - need - 2 * gap
    run = np.linspace(0, 255, max(right - left, 1)).round().astype(np.uint8)
    strip[gap : gap + size, left : left + len(run)] = heat_colours(run[None])
    sheet = Image.fromarray(strip)
    for x, text in zip((gap, right + gap), ends, strict=True):
        top = gap + (size - text_size(text, size)[0]) // 2
        draw_text(sheet, (x, top), text, size=size, colour=INK)
    return np.asarray(sheet)


def text_height(image_size: tuple[int, int]) -> int:
    """Choose a legible letter height for a picture (H, W)."""
    return int(np.clip(round(min(image_size) / 26), 13, 64))


def heat_colours(values: NDArray[np.uint8]) -> Picture:
    """Turn (h, w) levels into (h, w, 3) RGB along "inferno", which keeps its order in grey."""
    bgr = cv2.applyColorMap(np.ascontiguousarray(values), cv2.COLORMAP_INFERNO)
    return np.ascontiguousarray(bgr[..., ::-1])


def _legend_text(name: str, size: int, width: int) -> str:
    return shorten(name, size, width - 4 * size)
