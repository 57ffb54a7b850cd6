"""Regions decide as one: superpixels, or masks from anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from dense.errors import InputError


@dataclass(frozen=True)
class SuperpixelVote:
    """Mean probability of each superpixel for all its pixels.

    Superpixels are simple linear iterative clusters (Achanta et al., TPAMI 2012) in Lab, each
    pixel choosing among the nine around it; they are not made connected.

    Attributes:
        side: Of a superpixel, in input pixels.
        compactness: Weight of position against colour.
        iterations: Of the clustering.
    """

    side: int = 12
    compactness: float = 10.0
    iterations: int = 5

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine (K, h, w) probabilities by a picture (3, h, w)."""
        regions = superpixels(image, self.side, self.compactness, self.iterations)
        return vote(probabilities, regions)


def vote(probabilities: Tensor, regions: Tensor) -> Tensor:
    """Replace probabilities by their mean over each region.

    CorrCLIP lets the most frequent class of a region win; the mean weighs votes by confidence.

    Args:
        probabilities: (K, h, w).
        regions: (h, w) int64, from 0; pixels with −1 keep their own.

    Returns:
        (K, h, w).

    Raises:
        InputError: If the sizes differ.
    """
    if regions.shape != probabilities.shape[1:]:
        raise InputError(
            f"regions must have the size of the probabilities, expected "
            f"{tuple(probabilities.shape[1:])}, got {tuple(regions.shape)}; resize them (nearest)"
        )
    flat, values = regions.flatten(), probabilities.float().flatten(1)
    inside = flat >= 0
    index, members = flat[inside], values[:, inside]
    if index.numel() == 0:
        return probabilities.float()
    count = torch.bincount(index).clamp(min=1)
    total = values.new_zeros(len(values), len(count)).index_add_(1, index, members)
    voted = values.clone()
    voted[:, inside] = (total / count)[:, index]
    return voted.view(probabilities.shape)


def superpixels(image: Tensor, side: int, compactness: float, iterations: int) -> Tensor:
    """Cluster a picture into superpixels of about `side` pixels.

    Args:
        image: (3, h, w) in [0, 1].
        side: Wanted side of a superpixel.
        compactness: Weight of position against colour in Lab.
        iterations: Of the clustering.

    Returns:
        (h, w) int64 region of each pixel, on the picture's device.
    """
    h, w = image.shape[1:]
    rows, columns = max(1, round(h / side)), max(1, round(w / side))
    colours = np.ascontiguousarray(image.detach().float().cpu().permute(1, 2, 0).numpy())
    lab = torch.from_numpy(cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)).permute(2, 0, 1)
    ys, xs = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
    place = torch.stack([ys, xs]).float() * (compactness / side)
    features = torch.cat([lab, place]).flatten(1)
    cell_y, cell_x = (ys * rows // h).flatten(), (xs * columns // w).flatten()
    near = [(cell_y + dy).clamp(0, rows - 1) * columns for dy in (-1, 0, 1)]
    candidates = torch.stack(
        [row + (cell_x + dx).clamp(0, columns - 1) for row in near for dx in (-1, 0, 1)]
    )
    labels = cell_y * columns + cell_x
    for _ in range(iterations):
        count = torch.bincount(labels, minlength=rows * columns)
        total = features.new_zeros(len(features), rows * columns).index_add_(1, labels, features)
        centres = total / count.clamp(min=1)
        centres[:, count == 0] = torch.inf
        distance = torch.stack([(features - centres[:, c]).square().sum(0) for c in candidates])
        chosen = distance.argmin(0, keepdim=True)
        labels = candidates.gather(0, chosen)[0]
    return labels.view(h, w).to(image.device)
