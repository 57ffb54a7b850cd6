"""Foreground of a picture from its patch features alone (AnomalyDINO, Damm et al. 2025)."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor

from dense.structures import Size

BORDER = 0.2
"""Share of each side that is not looked at when the sign is decided."""
FILLED = 0.35
"""The object fills at least this share of the middle; else the sign was wrong."""
KERNEL = np.ones((3, 3), np.uint8)


def foreground_mask(rows: Tensor, grid: Size, threshold: float) -> Tensor:
    """Patches of the object: high on the first principal component of the picture's features.

    A component has no sign: it is turned if less than a third of the picture's middle would be
    foreground. The mask is dilated and its holes are closed, 3 × 3 patches.

    Args:
        rows: (gh * gw, C) features, row-major.
        grid: (gh, gw).
        threshold: In standard deviations of the component.

    Returns:
        (gh, gw) bool on the CPU.
    """
    centred = (rows - rows.mean(0)).double().cpu()
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    component = (centred @ axes[0]).view(grid).numpy()
    level = threshold * component.std()
    mask = component > level
    rim = [int(side * BORDER) for side in grid], [int(side * (1 - BORDER)) for side in grid]
    middle = mask[rim[0][0] : rim[1][0], rim[0][1] : rim[1][1]]
    if middle.sum() <= FILLED * middle.size:
        mask = -component > level
    if not mask.any():  # no object stands out: nothing may be left unseen
        return torch.ones(grid, dtype=torch.bool)
    grown = cv2.dilate(mask.astype(np.uint8), KERNEL)
    return torch.from_numpy(cv2.morphologyEx(grown, cv2.MORPH_CLOSE, KERNEL) > 0)
