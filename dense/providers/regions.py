"""Maps of regions: superpixels, which always work, or masks of SAM."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.trace import Trace
from dense.providers.base import unnormalised
from dense.refine.regions import superpixels

if TYPE_CHECKING:
    from segment_anything.modeling import Sam

OUTSIDE = -1
"""Pixels of no region."""


class Regions(ABC):
    """Finds regions in pictures; `name` goes to the protocol card.

    Args:
        name: For the card.
        source: How the CLIP's pictures are normalised.
    """

    def __init__(self, name: str, source: PreprocessConfig) -> None:
        self.name = name
        self.source = source

    def look(self, trace: Trace) -> list[Tensor]:
        """Regions (h, w) of each traced picture."""
        return [self.find(image.float()) for image in unnormalised(trace, self.source)]

    @abstractmethod
    def find(self, image: Tensor) -> Tensor:
        """Regions (h, w) int64 from 0, `OUTSIDE` for the rest, of a picture (3, h, w) in [0, 1]."""


class Superpixels(Regions):
    """Simple linear iterative clusters, see `dense.refine.regions.superpixels`.

    Args:
        source: How the CLIP's pictures are normalised.
        side: Wanted side in pixels.
        compactness: Weight of position against colour.
        iterations: Of the clustering.
    """

    def __init__(
        self,
        source: PreprocessConfig,
        *,
        side: int = 32,
        compactness: float = 10.0,
        iterations: int = 5,
    ) -> None:
        super().__init__("superpixels", source)
        self.side = side
        self.compactness = compactness
        self.iterations = iterations

    def find(self, image: Tensor) -> Tensor:
        """See the base class."""
        return superpixels(image.clamp(0, 1), self.side, self.compactness, self.iterations)


class SamRegions(Regions):
    """Masks that SAM proposes for a grid of points.

    Thresholds and the grid are CorrCLIP's for SAM 2. Where masks overlap, the larger wins, as in
    its code.

    Args:
        name: For the card.
        source: How the CLIP's pictures are normalised.
        model: SAM.
        points: Points a side of the grid.
        quality: Least predicted overlap, and least stability, of a mask.
    """

    def __init__(
        self,
        name: str,
        source: PreprocessConfig,
        model: Sam,
        *,
        points: int = 8,
        quality: float = 0.4,
    ) -> None:
        from segment_anything import SamAutomaticMaskGenerator

        super().__init__(name, source)
        self.generator = SamAutomaticMaskGenerator(
            model.eval().requires_grad_(False),
            points_per_side=points,
            pred_iou_thresh=quality,
            stability_score_thresh=quality,
        )

    def find(self, image: Tensor) -> Tensor:
        """See the base class."""
        pixels = (255 * image.clamp(0, 1)).round().byte().permute(1, 2, 0).cpu().numpy()
        return region_map(self.generator.generate(pixels), pixels.shape[:2]).to(image.device)


def region_map(masks: Sequence[Mapping[str, object]], size: tuple[int, ...]) -> Tensor:
    """Paint masks over each other, larger ones last. → (h, w) int64.

    Args:
        masks: Each with "segmentation", (h, w) bool, and "area".
        size: (h, w).
    """
    painted: NDArray[np.int64] = np.full(size, OUTSIDE, np.int64)
    for number, mask in enumerate(sorted(masks, key=lambda m: float(m["area"]))):  # type: ignore[arg-type]
        painted[np.asarray(mask["segmentation"], bool)] = number
    return torch.from_numpy(painted)
