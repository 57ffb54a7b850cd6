"""CLAP: attention of positive minus negative prompts, obfuscate, reconstruct, compare.

Park et al., "Contrastive Language Prompting to Ease False Positives in Medical Anomaly Detection",
arXiv:2411.07546. The attention to what is looked for, less the attention to what is normal, says
where a lesion may be; that region is hidden and painted in again from what is around it; where the
edges of picture and painting differ (MSGMS), something was there that its surroundings did not
foretell. What differs from the paper:

- it trains a U-Net for each data set to paint in; here OpenCV's inpainting (Telea 2004) does it,
  which needs no training and knows no anatomy: published figures cannot be expected;
- it does not say here how attention is computed from CLIP; ours is the cosine of each patch's dense
  feature with the prompts, stretched to [0, 1] in every picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.preprocess import fit_short_side
from dense.backbones.recommended import Recommended
from dense.errors import InputError
from dense.heads.gradients import msgms_difference
from dense.images import resize_map
from dense.methods.anomaly.base import builder
from dense.methods.anomaly.patches import (
    LONGEST_RATIO,
    Look,
    PatchFeatureInspector,
    PatchSettings,
    top_mean,
)


@dataclass(frozen=True, kw_only=True)
class ClapSettings(PatchSettings):
    """Settings of `ClapInspector`.

    Attributes:
        hidden: Share of the patches, those of the highest attention, that is painted over.
        radius: Of the inpainting, in input pixels.
        contrast: Take the negative attention off; without it the paper's ablation (positive
            prompts alone).
    """

    top: float = 0.001
    hidden: float = 0.1
    radius: float = 5.0
    contrast: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.hidden < 1 or self.radius <= 0:
            raise InputError(
                "hidden must lie between 0 and 1 and radius be positive, got "
                f"{self.hidden} and {self.radius}"
            )


class ClapInspector(PatchFeatureInspector):
    """Zero-shot inspection by words, for pictures whose defects break their surroundings.

    `steer` gives the words: to look for (by default the general states of damage) and to ignore
    (by default the flawless states of the product).

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product (or organ), or words by category for many.
        settings: State them with any published number.
        block: How the last block makes the dense features.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous.
    """

    reads_words = True
    settings: ClapSettings

    def score(self, look: Look) -> tuple[Tensor, float]:
        """Edge differences (h, w) between the picture and its painting, and the highest of them."""
        image = self._input(look)
        attention = self.attention(look)
        hidden = hide(attention, self.settings.hidden, (image.shape[0], image.shape[1]))
        painted = cv2.inpaint(image, hidden, self.settings.radius, cv2.INPAINT_TELEA)
        pair = torch.from_numpy(np.stack([image, np.asarray(painted)])).permute(0, 3, 1, 2)
        pair = pair.float() / 255
        difference = msgms_difference(pair[:1], pair[1:])[0, 0]
        return difference, top_mean(difference, self.settings.top)

    def attention(self, look: Look) -> Tensor:
        """Positive minus negative attention, not below 0, (gh, gw)."""
        normal, anomalous = self.state_weights(look.sample.category)
        unit = F.normalize(look.dense.float(), dim=0)
        positive = stretched(torch.einsum("dhw,d->hw", unit, anomalous.float()))
        if not self.settings.contrast:
            return positive
        negative = stretched(torch.einsum("dhw,d->hw", unit, normal.float()))
        return (positive - negative).clamp_min(0)

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range of edge differences."""
        return (0.0, 0.5)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        settings = self.settings
        return {
            "method": "CLAP",
            **self.describe_features(),
            "hidden": settings.hidden,
            "radius": settings.radius,
            "contrast": settings.contrast,
            "reconstruction": "OpenCV inpainting (Telea)",
            **self.state_words.describe(),
        }

    def _input(self, look: Look) -> NDArray[np.uint8]:
        side, patch = self.settings.short_side, self.backbone.patch_size
        size = fit_short_side(look.sample.image_size, side, patch, LONGEST_RATIO * side)
        return self.backbone.preprocess.resize(look.sample.image, size)


def stretched(values: Tensor) -> Tensor:
    """Values moved and scaled to [0, 1]; all 0 if they are equal."""
    low, high = values.min(), values.max()
    return (values - low) / (high - low).clamp_min(1e-12)


def hide(attention: Tensor, share: float, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The region of highest attention at input size: (h, w), 255 where hidden.

    Patches without attention are never hidden, so a picture may stay as it is.
    """
    count = max(1, round(share * attention.numel()))
    level = attention.flatten().topk(count).values[-1]
    chosen = (attention >= level) & (attention > 0)
    mask = resize_map(chosen.float().cpu().numpy(), size) >= 0.5
    return mask.astype(np.uint8) * 255


def recommended(advice: Recommended, shots: int) -> Callable[..., ClapInspector]:
    """Attention as the checkpoint recommends it for words."""
    settings = ClapSettings(layers=advice.memory_layers, short_side=advice.words_short_side)
    return partial(ClapInspector, settings=settings, block=advice.block)


build = builder("clap", recommended)
"""Catalogue entry."""
