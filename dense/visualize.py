"""(image, result) to a picture: uint8 RGB in, uint8 RGB out, inputs untouched.

Colours follow the class index, so a class keeps its colour from picture to picture. The first
colours are those of Okabe and Ito (2008) and of Tol's "muted" set, which people with the common
colour-vision deficiencies can tell apart; contours and the legend carry the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dense.errors import InputError
from dense.fonts import draw_text, shorten, text_size
from dense.legends import (
    INK,
    PAPER,
    Picture,
    heat_bar,
    heat_colours,
    legend_strip,
    mask_palette,
    palette,
    text_height,
    undecided_index,
)
from dense.structures import AnomalyResult, DetectionResult, SegmentationResult

__all__ = [
    "draw_anomaly",
    "draw_contour",
    "draw_detections",
    "draw_segmentation",
    "heat_bar",
    "legend_strip",
    "mask_palette",
    "palette",
    "side_by_side",
    "text_height",
]


def draw_segmentation(
    image: Picture,
    result: SegmentationResult,
    *,
    opacity: float = 0.5,
    legend: bool = True,
    legend_classes: Sequence[int] | None = None,
    hidden: Sequence[int] = (),
) -> Picture:
    """Lay class colours with thin contours over the picture, with a legend strip below.

    Undecided pixels (255) and hidden classes stay as they are.

    Args:
        image: (H, W, 3).
        result: The class map of the same size.
        opacity: Share of the class colour in [0, 1].
        legend: Add the strip; without it the result has the size of `image`.
        legend_classes: Class indices to list; by default those present, largest first.
        hidden: Class indices that are not drawn, e.g. the background class.

    Returns:
        (H, W, 3) without a legend, taller (and for very small pictures wider) with one.
    """
    _check_sizes(image, result.class_map)
    colours = palette(len(result.class_names))
    undecided = undecided_index(len(result.class_names))
    decided = ~np.isin(result.class_map, [undecided, *hidden])
    chosen = colours[np.where(decided, result.class_map, 0)] if len(colours) else image
    out = image.copy()
    blend = image * (1.0 - opacity) + chosen * opacity
    out[decided] = np.rint(blend[decided]).astype(np.uint8)
    edge = _edges(result.class_map) & decided
    out[edge] = chosen[edge]
    if not legend:
        return out
    classes = _present(result) if legend_classes is None else legend_classes
    classes = [index for index in classes if index not in hidden]
    return _stack([out, legend_strip(result.class_names, classes, image.shape[:2])])


def draw_anomaly(
    image: Picture,
    result: AnomalyResult,
    *,
    scale: tuple[float, float],
    opacity: float = 0.65,
    truth: NDArray[np.bool_] | None = None,
) -> Picture:
    """Lay the anomaly map as heat over the picture; the mask, if there is one, as a contour.

    Values at or below `scale[0]` leave the picture as it is, values at or above `scale[1]` get the
    hottest colour: the same value has the same colour in every picture drawn with that scale.

    Args:
        image: (H, W, 3).
        result: The map of the same size.
        scale: (low, high) anomaly values.
        opacity: Share of the heat colour at `high`.
        truth: (H, W) marked defect, drawn as a second, dashed-looking cyan contour.
    """
    _check_sizes(image, result.anomaly_map)
    low, high = scale
    if not high > low:
        raise InputError(f"the heat scale must rise, got low={low:g} and high={high:g}")
    heat = np.clip((np.nan_to_num(result.anomaly_map) - low) / (high - low), 0.0, 1.0)
    colours = heat_colours((heat * 255).round().astype(np.uint8))
    share = (np.minimum(heat * 1.6, 1.0) * opacity)[..., None]
    out = np.rint(image * (1.0 - share) + colours * share).astype(np.uint8)
    if result.mask is not None:
        out = draw_contour(out, result.mask, (255, 255, 255))
    if truth is not None:
        out = draw_contour(out, truth, (0, 255, 255))
    return out


def draw_contour(image: Picture, mask: NDArray[np.bool_], colour: tuple[int, int, int]) -> Picture:
    """Draw the outline of a mask (H, W) with a dark rim that keeps it visible on any ground."""
    _check_sizes(image, mask)
    out = image.copy()
    lines, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    thickness = _line_width(image.shape[:2])
    cv2.drawContours(out, lines, -1, (16, 16, 16), thickness + 2)
    cv2.drawContours(out, lines, -1, colour, thickness)
    return out


def draw_detections(image: Picture, result: DetectionResult, *, opacity: float = 0.4) -> Picture:
    """Draw boxes (and masks, if there are any) with class name and score, best on top."""
    colours = palette(len(result.class_names))
    out, size = image.copy(), text_height(image.shape[:2])
    order = np.argsort(result.scores)
    if result.masks is not None:
        for place in order:
            mask = result.masks[place]
            _check_sizes(image, mask)
            mixed = out[mask] * (1 - opacity) + colours[result.labels[place]] * opacity
            out[mask] = np.rint(mixed).astype(np.uint8)
    width = _line_width(image.shape[:2]) + 1
    for place in order:
        colour = tuple(int(value) for value in colours[result.labels[place]])
        x0, y0, x1, y1 = (round(float(value)) for value in result.boxes[place])
        cv2.rectangle(out, (x0, y0), (x1, y1), colour, width)
    sheet = Image.fromarray(out)
    for place in order:
        label = int(result.labels[place])
        _draw_tag(sheet, result, int(place), tuple(colours[label].tolist()), size)
    return np.asarray(sheet)


def side_by_side(
    pictures: Sequence[Picture], captions: Sequence[str], *, height: int | None = None
) -> Picture:
    """Set pictures in a row at one height, each with its caption below.

    Args:
        pictures: Any sizes, (H, W, 3) each.
        captions: One a picture, any script; may be empty strings.
        height: Common height in pixels, by default that of the tallest.
    """
    if not pictures or len(pictures) != len(captions):
        raise InputError(
            f"side_by_side needs one caption a picture, got {len(pictures)} pictures and "
            f"{len(captions)} captions"
        )
    height = height or max(picture.shape[0] for picture in pictures)
    size = text_height((height, height))
    gap = max(4, size // 2)
    columns = [
        _captioned(_to_height(picture, height), caption, size, gap)
        for picture, caption in zip(pictures, captions, strict=True)
    ]
    rule = np.full((columns[0].shape[0], gap, 3), PAPER, np.uint8)
    parts = [part for column in columns for part in (column, rule)][:-1]
    return np.concatenate(parts, axis=1)


def _captioned(picture: Picture, caption: str, size: int, gap: int) -> Picture:
    width = picture.shape[1]
    sheet = Image.new("RGB", (width, round(size * 1.7) + gap), PAPER)
    if caption:
        text = shorten(caption, size, width - 2)
        left = max(0, (width - text_size(text, size)[1]) // 2)
        draw_text(sheet, (left, gap // 2), text, size=size, colour=INK)
    return np.concatenate([picture, np.asarray(sheet)])


def _to_height(picture: Picture, height: int) -> Picture:
    if picture.shape[0] == height:
        return picture
    width = max(1, round(picture.shape[1] * height / picture.shape[0]))
    shrink = height < picture.shape[0]
    method = cv2.INTER_AREA if shrink else cv2.INTER_LINEAR
    return cv2.resize(picture, (width, height), interpolation=method).astype(np.uint8)


def _stack(pictures: Sequence[Picture]) -> Picture:
    width = max(picture.shape[1] for picture in pictures)
    rows = [
        np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=PAPER[0])
        for picture in pictures
    ]
    return np.concatenate(rows)


def _draw_tag(
    sheet: Image.Image,
    result: DetectionResult,
    place: int,
    colour: tuple[int, int, int],
    size: int,
) -> None:
    label = int(result.labels[place])
    text = shorten(result.class_names[label], size, sheet.width // 2)
    text = f"{text} {result.scores[place]:.2f}"
    high, wide = text_size(text, size, f"class {label}")
    left = int(np.clip(result.boxes[place, 0], 0, max(0, sheet.width - wide - 4)))
    top = int(np.clip(result.boxes[place, 1] - high, 0, max(0, sheet.height - high)))
    sheet.paste(colour, (left, top, left + wide + 4, top + high))
    ink = INK if float(np.dot(colour, (0.299, 0.587, 0.114))) > 110 else PAPER
    draw_text(sheet, (left + 2, top), text, size=size, colour=ink, fallback=f"class {label}")


def _present(result: SegmentationResult) -> list[int]:
    count = np.bincount(result.class_map.reshape(-1), minlength=len(result.class_names))
    count = count[: len(result.class_names)]
    order = np.argsort(-count, kind="stable")
    return [int(index) for index in order if count[index] > 0]


def _edges(class_map: NDArray[np.integer]) -> NDArray[np.bool_]:
    edge = np.zeros(class_map.shape, bool)
    edge[:, :-1] |= class_map[:, :-1] != class_map[:, 1:]
    edge[:-1] |= class_map[:-1] != class_map[1:]
    extra = _line_width(class_map.shape) - 1
    if extra:
        edge = cv2.dilate(edge.astype(np.uint8), np.ones((extra + 1, extra + 1))).astype(bool)
    return edge


def _line_width(image_size: tuple[int, ...]) -> int:
    return max(1, round(min(image_size[:2]) / 400))


def _check_sizes(image: Picture, other: NDArray[np.generic]) -> None:
    if image.shape[:2] != other.shape:
        raise InputError(
            f"picture and result must have one size, got {image.shape[:2]} and {other.shape}"
        )
