"""Label propagation on a graph of neighbouring pixels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from dense.refine.neighbours import Neighbourhood, inside, ring, shifted


@dataclass(frozen=True)
class Propagation:
    """Local and global consistency (Zhou et al., NIPS 2003) on colours.

    Labels flow along edges of similar colour and are pulled back to the first prediction:
    Y ← α D^-½ W D^-½ Y + (1 − α) Y0. LPOSS (Stojnić et al., CVPR 2025, arXiv:2503.19777) ends with
    the same step on pixels (its patches are linked by a second network, which has no place here).

    Attributes:
        share: α, of the neighbours in each step.
        iterations: Steps; the rest is α to their power.
        colour: Standard deviation of the edge weight, in colours of [0, 255].
        dilations: Of the 8 neighbours that edges lead to, in input pixels.
    """

    share: float = 0.9
    iterations: int = 30
    colour: float = 13.0
    dilations: tuple[int, ...] = (1, 4, 8)

    def __call__(self, probabilities: Tensor, image: Tensor) -> Tensor:
        """Refine (K, h, w) probabilities by a picture (3, h, w); each pixel sums up to one."""
        offsets = ring(self.dilations)
        distance = (255 * (shifted(image.float(), offsets) - image)).square().sum(1)
        valid = inside((image.shape[1], image.shape[2]), offsets).to(image.device)
        weights = torch.exp(-distance / (2 * self.colour**2)) * valid
        root = weights.sum(0, keepdim=True).clamp(min=1e-12).rsqrt()
        hood = Neighbourhood(weights * root * shifted(root, offsets)[:, 0], offsets)
        start = probabilities.float()
        current = start
        for _ in range(self.iterations):
            current = self.share * hood.apply(current) + (1 - self.share) * start
        return current / current.sum(0, keepdim=True)
