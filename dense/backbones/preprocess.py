"""From a uint8 picture to the tensor a tower expects."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from dense.structures import Size

OPENAI_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class PreprocessConfig:
    """Normalisation that a checkpoint was trained with.

    Attributes:
        mean: Per RGB channel, of values in [0, 1].
        std: Per RGB channel.
        interpolation: ``"bicubic"`` or ``"bilinear"``.
    """

    mean: tuple[float, float, float] = OPENAI_MEAN
    std: tuple[float, float, float] = OPENAI_STD
    interpolation: str = "bicubic"

    def resize(self, image: NDArray[np.uint8], size: Size) -> NDArray[np.uint8]:
        """Resize (H, W, 3) to (h, w, 3); area-averaged when shrinking, as PIL's antialiasing."""
        if image.shape[:2] == size:
            return image
        height, width = size
        if height * width < image.shape[0] * image.shape[1]:
            kinds = Image.Resampling
            kind = kinds.BICUBIC if self.interpolation == "bicubic" else kinds.BILINEAR
            return np.array(Image.fromarray(image).resize((width, height), kind))
        mode = cv2.INTER_CUBIC if self.interpolation == "bicubic" else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (width, height), interpolation=mode), np.uint8)

    def to_tensor(self, image: NDArray[np.uint8]) -> Tensor:
        """(h, w, 3) uint8 → (3, h, w) float32, normalised."""
        x = torch.tensor(np.ascontiguousarray(image)).permute(2, 0, 1).float()
        mean, std = (torch.tensor(v).view(3, 1, 1) for v in (self.mean, self.std))
        return x.div_(255).sub_(mean).div_(std)  # in place: a large picture fills memory once


def fit_short_side(size: Size, short_side: int, multiple: Size, longest: int | None = None) -> Size:
    """(h, w) with the short side near `short_side`, aspect kept, both multiples of the patch.

    Args:
        size: (H, W) of the picture.
        short_side: Wanted short side in pixels.
        multiple: Patch (height, width).
        longest: Bound on the long side, for extreme aspect ratios.
    """
    scale = short_side / min(size)
    if longest is not None:
        scale = min(scale, longest / max(size))
    return (
        max(1, round(size[0] * scale / multiple[0])) * multiple[0],
        max(1, round(size[1] * scale / multiple[1])) * multiple[1],
    )
