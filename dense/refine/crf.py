"""A conditional random field over pixels, with pairwise terms inside a window."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.refine.neighbours import Neighbourhood, inside, shifted, square

SMALLEST = 1e-6


@dataclass(frozen=True)
class LocalCRF:
    """Mean field of the dense CRF, its pairwise terms truncated to a window.

    Krähenbühl and Koltun (NIPS 2011, arXiv:1210.5644) link all pixels and need a permutohedral
    lattice; Teichmann and Cipolla (arXiv:1805.04777) show that links inside a window, on messages
    at a quarter of the resolution, do as well. Kernels: appearance (position and colour) and
    smoothness (position), Potts compatibility, symmetric normalisation. Weights and the colour
    width are DeepLab's (4, 3; 3 of 255 is narrow for coarse unaries: the CRF paper's 13 is used).

    Attributes:
        iterations: Of the mean field.
        appearance: Weight of the appearance kernel.
        smoothness: Weight of the smoothness kernel.
        colour: Standard deviation of the appearance kernel, in colours of [0, 255].
        position: Standard deviation of the appearance kernel, in input pixels.
        near: Standard deviation of the smoothness kernel, in input pixels.
        radius: Of the window, in pixels of the reduced picture.
        reduce: Factor by which messages are reduced.
    """

    iterations: int = 5
    appearance: float = 4.0
    smoothness: float = 3.0
    colour: float = 13.0
    position: float = 67.0
    near: float = 3.0
    radius: int = 5
    reduce: int = 4

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine (K, h, w) probabilities by a picture (3, h, w)."""
        h, w = probabilities.shape[1:]
        small = (max(1, h // self.reduce), max(1, w // self.reduce))
        hood = self._links(F.adaptive_avg_pool2d(image[None].float(), small)[0])
        evidence = probabilities.float().clamp(min=SMALLEST).log()
        current = evidence.softmax(0)
        for _ in range(self.iterations):
            message = hood.apply(F.adaptive_avg_pool2d(current[None], small)[0])
            message = F.interpolate(message[None], (h, w), mode="bilinear", align_corners=False)[0]
            current = (evidence + message).softmax(0)
        return current

    def _links(self, image: Tensor) -> Neighbourhood:
        """Both kernels on the reduced picture, weighted and summed."""
        offsets = square(self.radius)
        place = torch.tensor(offsets, device=image.device).float() * self.reduce
        distance = place.square().sum(1).view(-1, 1, 1)
        colours = (255 * (shifted(image, offsets) - image)).square().sum(1)
        valid = inside((image.shape[1], image.shape[2]), offsets).to(image.device)
        kernels = (
            (self.appearance, distance / self.position**2 + colours / self.colour**2),
            (self.smoothness, (distance / self.near**2).expand_as(colours)),
        )
        weights = torch.zeros_like(colours)
        for weight, exponent in kernels:
            kernel = torch.exp(-exponent / 2) * valid
            root = kernel.sum(0, keepdim=True).clamp(min=SMALLEST).rsqrt()
            weights += weight * kernel * root * shifted(root, offsets)[:, 0]
        return Neighbourhood(weights, offsets)
