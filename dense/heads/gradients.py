"""Multi-scale gradient magnitude similarity (MSGMS), as used by reconstruction methods.

Xue et al., "Gradient Magnitude Similarity Deviation", TIP 2014, arXiv:1308.3052; over four scales
for anomaly detection by Zavrtanik et al. (RIAD), Pattern Recognition 2021.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

SCALES = 4
STABILISER = 0.0026
"""c of the similarity, for intensities in [0, 1]."""


def gradient_magnitude(images: Tensor) -> Tensor:
    """Prewitt gradient magnitude of the channel mean, edges replicated.

    (B, C, h, w) → (B, 1, h, w).
    """
    grey = F.pad(images.mean(1, keepdim=True), (1, 1, 1, 1), mode="replicate")
    across = images.new_tensor([[1.0, 0.0, -1.0]]).repeat(3, 1) / 3
    kernels = torch.stack([across, across.T]).unsqueeze(1)
    return F.conv2d(grey, kernels).square().sum(1, keepdim=True).sqrt()


def msgms_difference(one: Tensor, other: Tensor) -> Tensor:
    """How much the edges of two pictures differ, averaged over four scales.

    Args:
        one: (B, C, h, w) in [0, 1].
        other: The same shape.

    Returns:
        (B, 1, h, w) in [0, 1]; 0 where gradients agree at every scale.
    """
    size, maps = one.shape[-2:], []
    for scale in range(SCALES):
        if scale:
            if min(one.shape[-2:]) < 2:
                break
            one, other = F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)
        left, right = gradient_magnitude(one), gradient_magnitude(other)
        similarity = (2 * left * right + STABILISER) / (left**2 + right**2 + STABILISER)
        maps.append(F.interpolate(1 - similarity, size, mode="bilinear", align_corners=False))
    return torch.stack(maps).mean(0).clamp(0, 1)
