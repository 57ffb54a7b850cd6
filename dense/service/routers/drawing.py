"""Small pictures that are drawn for the page."""

from __future__ import annotations

import numpy as np

from dense.inspection.view import View
from dense.legends import palette
from dense.service.pictures import encode

TINT, DARK = 90, 140
"""Opacity of regions, and of the stripes over what is ignored, of 255."""
STRIPE = 8


def draw_regions(view: View) -> bytes:
    """Regions tinted in their colours, ignored places striped, as an RGBA PNG."""
    height, width = view.size or (1, 1)
    drawn = np.zeros((height, width, 4), np.uint8)
    for colour, mask in zip(palette(len(view.regions)), view.regions.values(), strict=True):
        drawn[mask] = (*colour, TINT)
    if view.ignore is not None:
        rows, columns = np.indices((height, width))
        stripes = (rows + columns) // STRIPE % 2 == 0
        drawn[view.ignore] = (40, 40, 40, DARK // 3)
        drawn[view.ignore & stripes] = (40, 40, 40, DARK)
    return encode(drawn, ".png")
