"""From a map and a threshold to defects with place, area and the words that fit them."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.inspection.decision import Defect
from dense.inspection.view import TOP

MOST = 100
"""Defects that are listed of a picture, those with the largest peaks."""

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]


def defect_mask(anomaly_map: Map, threshold: float, region: Mask | None) -> Mask:
    """Pixels (H, W) of a region above a threshold; if none is, those that make its score.

    A score can exceed its threshold though no pixel does: when all of a region is a little too
    abnormal. Then the top pixels, whose mean the score is, are shown.
    """
    inside = np.ones(anomaly_map.shape, np.bool_) if region is None else region
    mask = np.asarray((anomaly_map > threshold) & inside, np.bool_)
    if mask.any():
        return mask
    values = anomaly_map[inside]
    count = max(1, round(TOP * values.size))
    least = np.partition(values, values.size - count)[-count]
    return np.asarray((anomaly_map >= least) & inside, np.bool_)


def find_defects(
    anomaly_map: Map,
    masks: Mapping[str, Mask],
    words: Mapping[str, Map],
    mm_per_pixel: float | None,
) -> tuple[tuple[Defect, ...], Mask]:
    """Connected parts (8-connected) of the masks, and all of them together (H, W).

    Args:
        anomaly_map: (H, W).
        masks: By region; a pixel of several regions counts for the first.
        words: Per defect word (H, W) in [0, 1].
        mm_per_pixel: Scale, ``None`` if it is not known.
    """
    taken = np.zeros(anomaly_map.shape, np.bool_)
    found: list[Defect] = []
    for region, mask in masks.items():
        own = (mask & ~taken).astype(np.uint8)
        taken |= mask
        count, labels, boxes, centres = cv2.connectedComponentsWithStats(own, connectivity=8)
        for part in range(1, count):
            x, y, width, height, area = (int(value) for value in boxes[part])
            window = (slice(y, y + height), slice(x, x + width))
            inside = labels[window] == part
            centre = (float(centres[part][0]) + 0.5, float(centres[part][1]) + 0.5)
            found.append(
                Defect(
                    box=(x, y, x + width, y + height),
                    area_px=area,
                    centre=centre,
                    peak=float(anomaly_map[window][inside].max()),
                    area_mm2=None if mm_per_pixel is None else area * mm_per_pixel**2,
                    centre_mm=_scaled(centre, mm_per_pixel),
                    region=region,
                    words=_words(words, window, inside),
                )
            )
    found.sort(key=lambda defect: (-defect.peak, defect.box))
    return tuple(found[:MOST]), taken


def _words(words: Mapping[str, Map], window: tuple[slice, slice], inside: Mask) -> dict[str, float]:
    """Mean of each word over a part, largest first."""
    means = {word: float(seen[window][inside].mean()) for word, seen in words.items()}
    return dict(sorted(means.items(), key=lambda pair: -pair[1]))


def _scaled(centre: tuple[float, float], mm_per_pixel: float | None) -> tuple[float, float] | None:
    if mm_per_pixel is None:
        return None
    return centre[0] * mm_per_pixel, centre[1] * mm_per_pixel
