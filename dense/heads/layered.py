"""Patch features of several layers against normal and anomalous text → maps at input size."""

from __future__ import annotations

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from dense.structures import Size


def state_cosines(features: Tensor, weights: Tensor) -> Tensor:
    """Cosine of every patch with both states.

    Args:
        features: (B, N, D), any length.
        weights: (2, D) or (B, 2, D) unit rows, normal then anomalous.

    Returns:
        (B, N, 2) fp32.
    """
    unit = F.normalize(features.float(), dim=-1)
    return unit @ weights.float().transpose(-2, -1)


def enlarged(values: Tensor, grid: Size, size: Size, *, align_corners: bool) -> Tensor:
    """(B, N, K) values of patches, row-major → (B, K, h, w), bilinear."""
    maps = values.transpose(1, 2).unflatten(2, grid)
    return F.interpolate(maps, size, mode="bilinear", align_corners=align_corners)


def surgery(cosines: Tensor, class_cosines: Tensor) -> Tensor:
    """Feature surgery (CLIP Surgery, Li et al. 2023, section 3.3), between the two states.

    Products of features with each text are weighted by how much the whole image looks like that
    text, their mean over the texts is taken off, and the rest is summed.

    Args:
        cosines: (B, N, K) of the patches.
        class_cosines: (B, K) of the class token.

    Returns:
        (B, N, K), summing to 0 over K.
    """
    share = class_cosines.softmax(-1)
    weighted = cosines * (share / share.mean(-1, keepdim=True)).unsqueeze(1)
    return weighted - weighted.mean(-1, keepdim=True)


def smooth(maps: Tensor, sigma: float) -> Tensor:
    """Gaussian smoothing of maps (B, h, w), `sigma` in pixels; edges are mirrored, 0 does nothing.

    On the CPU by SciPy, as the published evaluations do.
    """
    if sigma <= 0:
        return maps
    values = maps.float().cpu().numpy()
    return torch.from_numpy(
        np.stack([np.asarray(ndimage.gaussian_filter(row, sigma), np.float32) for row in values])
    )
