"""Pictures of explanations: a two-coloured heat on the photo, and bars of words."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dense.errors import InputError
from dense.explain.base import Explanation
from dense.fonts import draw_text, shorten, text_size
from dense.legends import INK, PAPER, Picture, text_height

FOR, AGAINST = (200, 30, 30), (30, 80, 200)
"""Raises the score, lowers it."""


def map_scale(scores: NDArray[np.floating], *, share: float = 0.995) -> float:
    """Value of the full colour: the quantile of absolute values, so that one patch rules less."""
    return float(np.quantile(np.abs(scores), share)) or 1.0


def draw_map(
    image: Picture, scores: NDArray[np.floating], *, scale: float | None = None
) -> Picture:
    """Lay a signed map over a picture greyed out: red raises the score, blue lowers it.

    Maps without negative values (M2IB) are drawn from their least value up: their zero means
    nothing that a patch could reach.

    Args:
        image: (H, W, 3) uint8.
        scores: (H, W).
        scale: Absolute value of the full colour; `map_scale` of the map if ``None``.

    Raises:
        InputError: If the sizes differ.
    """
    if scores.shape != image.shape[:2]:
        raise InputError(
            f"picture and map must have one size, got {image.shape[:2]} and {scores.shape}"
        )
    values = np.asarray(scores, np.float32)
    if values.min() >= 0:
        values = values - values.min()
    heat = np.clip(values / (scale or map_scale(values)), -1, 1)[..., None]
    grey = image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    ground = 60 + 0.7 * np.repeat(grey[..., None], 3, 2)
    colour = np.where(heat > 0, np.array(FOR, np.float32), np.array(AGAINST, np.float32))
    share = 0.8 * np.abs(heat)
    return np.rint(ground * (1 - share) + colour * share).astype(np.uint8)


def draw_words(
    words: Sequence[str],
    scores: NDArray[np.floating],
    *,
    width: int = 480,
    title: str = "",
    limit: int = 24,
) -> Picture:
    """Bars of words around a common zero: red to the right raises the score, blue lowers it.

    Args:
        words: W names, in the order of the sentence.
        scores: (W,).
        width: Of the picture in pixels.
        title: A line above.
        limit: At most so many words, those of the largest values.

    Raises:
        InputError: If there are no words.
    """
    if not len(words) or len(words) != len(scores):
        raise InputError(f"one score a word is needed, got {len(scores)} for {len(words)} words")
    kept = sorted(np.argsort(-np.abs(scores), kind="stable")[:limit].tolist())
    size = text_height((width, width))
    line, gap = round(1.8 * size), size
    names = [shorten(words[place] or "?", size, width // 3) for place in kept]
    numbers = [f"{float(scores[place]):+.2g}" for place in kept]
    left = max(text_size(name, size)[1] for name in names) + 2 * gap
    right = width - max(text_size(number, size)[1] for number in numbers) - 2 * gap
    values = [float(scores[place]) for place in kept]
    top = line + gap // 2 if title else gap // 2
    sheet = Image.new("RGB", (width, top + line * len(kept) + gap // 2), PAPER)
    if title:
        draw_text(
            sheet, (gap, gap // 2), shorten(title, size, width - 2 * gap), size=size, colour=INK
        )
    low, high = min(0.0, *values), max(0.0, *values)
    reach = (high - low) or 1.0
    zero = left + (0 - low) / reach * (right - left)
    pen = ImageDraw.Draw(sheet)
    for row, (name, number, value) in enumerate(zip(names, numbers, values, strict=True)):
        y = top + row * line
        end = left + (value - low) / reach * (right - left)
        pen.rectangle(
            (min(zero, end), y + line // 6, max(zero, end), y + line - line // 6),
            fill=FOR if value > 0 else AGAINST,
        )
        draw_text(sheet, (gap, y + (line - size) // 3), name, size=size, colour=INK)
        draw_text(sheet, (right + gap, y + (line - size) // 3), number, size=size, colour=INK)
    pen.line((zero, top, zero, top + line * len(kept)), fill=INK)
    return np.asarray(sheet)


def draw_explanation(image: Picture, explanation: Explanation) -> tuple[Picture, Picture]:
    """The map on the picture, and the word bars."""
    title = explanation.sentence
    if explanation.against:
        title += " against " + ", ".join(explanation.against)
    heat = draw_map(image, explanation.map)
    bars = draw_words(explanation.words, explanation.word_scores, title=title)
    return heat, bars
