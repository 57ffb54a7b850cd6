"""What methods on patch features share: pictures → unit features a layer, scores → results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.attention import AS_TRAINED
from dense.backbones.preprocess import fit_short_side
from dense.errors import InputError
from dense.heads.layered import smooth
from dense.images import resize_map
from dense.methods.anomaly.base import Inspector
from dense.methods.batching import iter_batches
from dense.structures import AnomalyResult, Sample, Size

LONGEST_RATIO = 4
"""The long side is at most this many short sides: bounds memory for extreme aspect ratios."""


@dataclass(frozen=True, kw_only=True)
class PatchSettings:
    """How pictures become patch features, and patch maps become results.

    Attributes:
        layers: Block outputs that are used; negative numbers count from the end.
        short_side: Input short side in pixels, aspect kept.
        neighbourhood: Side of the average pooling of features, in patches (odd).
        rotations: Support images are also used turned by multiples of 360° / rotations.
        top: Share of the highest values of the patch map whose mean is the image score.
        sigma: Gaussian smoothing of the map in original pixels; 0 for none.

    Raises:
        InputError: If a value is impossible.
    """

    layers: tuple[int, ...] = (-5,)
    short_side: int = 336
    neighbourhood: int = 1
    rotations: int = 1
    top: float = 0.01
    sigma: float = 0.0

    def __post_init__(self) -> None:
        if self.neighbourhood % 2 == 0 or not 0 < self.top <= 1 or self.rotations < 1:
            raise InputError(
                "neighbourhood must be odd, top in (0, 1] and rotations at least 1, got "
                f"{self.neighbourhood}, {self.top} and {self.rotations}"
            )
        if not self.layers or self.short_side < 1 or self.sigma < 0:
            raise InputError(
                "at least one layer, a positive short side and a sigma of 0 or more are needed, "
                f"got {self.layers}, {self.short_side} and {self.sigma}"
            )


@dataclass(frozen=True)
class Look:
    """What the tower says of one picture.

    Attributes:
        sample: The picture.
        layers: Unit features of the chosen layers, pooled, each (C, gh, gw) fp32.
        dense: (D, gh, gw) features in the joint space, any length.
        class_token: (D,) the whole picture in the joint space, any length.
    """

    sample: Sample
    layers: tuple[Tensor, ...]
    dense: Tensor
    class_token: Tensor

    @property
    def grid(self) -> Size:
        """(gh, gw)."""
        return self.dense.shape[1], self.dense.shape[2]

    def rows(self) -> list[Tensor]:
        """Features by layer as rows (gh * gw, C), row-major."""
        return [layer.flatten(1).T for layer in self.layers]


class PatchFeatureInspector(Inspector):
    """Base of methods that read patch features from one dense forward pass.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        settings: How pictures become features; state them with any published number.
        block: How the last block makes the dense features that are compared with words.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        settings: PatchSettings,
        *,
        block: LastBlock = AS_TRAINED,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(backbone, products, batch_size=batch_size, threshold=threshold)
        self.settings = settings
        self.block = block

    @abstractmethod
    def score(self, look: Look) -> tuple[Tensor, float]:
        """Patch map (gh, gw) and image score of a picture."""

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        results = []
        for look in self.look(samples):
            patch_map, score = self.score(look)
            size, sigma = look.sample.image_size, self.settings.sigma
            if sigma > 0:
                large = resize_map(patch_map.float().cpu().numpy(), size)
                patch_map = smooth(torch.from_numpy(large)[None], sigma)[0]
            results.append(self.result(patch_map, score, size))
        return results

    def look(self, samples: Sequence[Sample]) -> Iterator[Look]:
        """Features of pictures, in order."""

        def size(original: Size) -> Size:
            side = self.settings.short_side
            return fit_short_side(original, side, self.backbone.patch_size, LONGEST_RATIO * side)

        for batch, images in iter_batches(self.backbone, samples, size, self.batch_size):
            features = self.backbone.vit(images, self.block, intermediates=self.settings.layers)
            layers = [self._pool(layer) for layer in features.intermediates]
            for row, sample in enumerate(batch):
                seen = tuple(layer[row] for layer in layers)
                yield Look(sample, seen, features.dense[row], features.class_token[row])

    def turned(self, samples: Sequence[Sample]) -> list[Sample]:
        """Pictures and their rotations, each picture's upright copy first."""
        return [
            replace(sample, image=image, mask=None)
            for sample in samples
            for image in rotated(sample.image, self.settings.rotations)
        ]

    def describe_features(self) -> dict[str, object]:
        """The part of a protocol card that tells about features."""
        return {
            "model": self.backbone.name,
            "short_side": self.settings.short_side,
            "layers": self.settings.layers,
            "neighbourhood": self.settings.neighbourhood,
            "rotations": self.settings.rotations,
            "top": self.settings.top,
            "sigma": self.settings.sigma,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def _pool(self, layer: Tensor) -> Tensor:
        """Unit features averaged over their neighbourhood. (B, C, gh, gw), same shape, fp32."""
        side = self.settings.neighbourhood
        unit = F.normalize(layer.float(), dim=1)
        if side == 1:
            return unit
        pooled = F.avg_pool2d(unit, side, 1, side // 2, count_include_pad=False)
        return F.normalize(pooled, dim=1)


def top_mean(patch_map: Tensor, share: float) -> float:
    """Mean of the highest `share` of a map, at least one value."""
    values = patch_map.flatten()
    return float(values.topk(max(1, round(share * len(values)))).values.mean())


def rotated(image: NDArray[np.uint8], count: int) -> list[NDArray[np.uint8]]:
    """The picture turned by multiples of 360° / count about its centre, edges replicated."""
    import cv2

    height, width = image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    turned = [image]
    for step in range(1, count):
        matrix = cv2.getRotationMatrix2D(centre, 360 * step / count, 1.0)
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        turn = cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
        turned.append(np.asarray(turn, np.uint8))
    return turned
