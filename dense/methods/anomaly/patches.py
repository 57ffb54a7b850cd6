"""What methods on patch features share: pictures → unit features a layer, scores → results."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

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
from dense.heads.rarity import neighbours
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
        finest_side: Pictures that have more pixels keep their detail up to this short side;
            ``None`` brings all to `short_side`.
        neighbourhood: Side of the average pooling of features, in patches (odd).
        rotations: Support images are also used turned by multiples of 360° / rotations.
        top: Share of the highest values of the patch map whose mean is the image score.
        sigma: Gaussian smoothing of the map in original pixels; 0 for none.

    Raises:
        InputError: If a value is impossible.
    """

    layers: tuple[int, ...] = (-5,)
    short_side: int = 336
    finest_side: int | None = None
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
        if self.finest_side is not None and self.finest_side < self.short_side:
            raise InputError(
                f"finest_side must be at least short_side = {self.short_side}, got "
                f"{self.finest_side}"
            )

    def input_size(self, original: Size, patch: Size) -> Size:
        """(h, w) at which a picture of size (H, W) is looked at, whole patches."""
        side = self.short_side
        if self.finest_side is not None:
            side = min(max(side, min(original)), self.finest_side)
        return fit_short_side(original, side, patch, LONGEST_RATIO * side)


@dataclass(frozen=True)
class Look:
    """What the tower says of one picture.

    Attributes:
        sample: The picture.
        layers: Unit features of the chosen layers, pooled, each (C, gh, gw) fp32.
        dense: (D, gh, gw) features in the joint space, any length.
        class_token: (D,) the whole picture in the joint space, any length.
        inside: (gh * gw,) bool, patches that were looked at; all if ``None``.
    """

    sample: Sample
    layers: tuple[Tensor, ...]
    dense: Tensor
    class_token: Tensor
    inside: Tensor | None = None

    @property
    def grid(self) -> Size:
        """(gh, gw)."""
        return self.dense.shape[1], self.dense.shape[2]

    def rows(self) -> list[Tensor]:
        """Features by layer as rows (n, C) of the n patches inside, row-major."""
        rows = [layer.flatten(1).T for layer in self.layers]
        return rows if self.inside is None else [row[self.inside] for row in rows]

    def place(self, values: Tensor) -> Tensor:
        """Values (n,) of the patches inside → map (gh, gw), nan elsewhere."""
        if self.inside is None:
            return values.view(self.grid)
        whole = values.new_full(self.inside.shape, torch.nan)
        whole[self.inside] = values
        return whole.view(self.grid)

    def near(self, apart: int) -> Tensor:
        """(n, n) bool: patches inside that are less than `apart` from each other."""
        near = neighbours(self.grid, apart).to(self.dense.device)
        return near if self.inside is None else near[self.inside][:, self.inside]

    def hide(self, patch_map: Tensor) -> Tensor:
        """The same map (gh, gw), nan where nothing was looked at."""
        if self.inside is None:
            return patch_map
        return patch_map.masked_fill(~self.inside.view(self.grid), torch.nan)


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

    drops_patches: ClassVar[bool] = False
    """Whether the method can do without the patches outside `Sample.inside`."""

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

    @property
    def input_side(self) -> int:
        """See the base class."""
        return self.settings.short_side

    @abstractmethod
    def score(self, look: Look) -> tuple[Tensor, float]:
        """Patch map (gh, gw) and image score of a picture."""

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        return [self.read(look) for look in self.look(samples)]

    @torch.inference_mode()
    def read(self, look: Look) -> AnomalyResult:
        """Score a picture that was looked at; several methods of equal settings share a look."""
        return self.show(look, *self.score(look))

    def show(self, look: Look, patch_map: Tensor, score: float) -> AnomalyResult:
        """Patch map (gh, gw) and score as a result of the picture's size."""
        if look.inside is not None:
            lowest = patch_map[~patch_map.isnan()].min()
            patch_map = torch.where(patch_map.isnan(), lowest, patch_map)
        size, sigma = look.sample.image_size, self.settings.sigma
        if sigma > 0:
            large = resize_map(patch_map.float().cpu().numpy(), size)
            patch_map = smooth(torch.from_numpy(large)[None], sigma)[0]
        return self.result(patch_map, score, size)

    def look(self, samples: Sequence[Sample]) -> Iterator[Look]:
        """Features of pictures, in order."""

        def size(original: Size) -> Size:
            return self.settings.input_size(original, self.backbone.patch_size)

        for batch, images in iter_batches(self.backbone, samples, size, self.batch_size):
            inside = [self._inside(sample, images) for sample in batch]
            if all(one is None for one in inside):
                yield from self._look_alike(batch, images, None)
                continue
            for row, one in enumerate(inside):
                yield from self._look_alike(batch[row : row + 1], images[row : row + 1], one)

    def _look_alike(
        self, batch: Sequence[Sample], images: Tensor, inside: Tensor | None
    ) -> Iterator[Look]:
        """Features of a batch that looks at the same patches (gh * gw,)."""
        keep = None if inside is None else inside.nonzero().flatten()
        features = self.backbone.vit(
            images, self.block, intermediates=self.settings.layers, keep=keep
        )
        layers = [self._pool(layer) for layer in features.intermediates]
        for row, sample in enumerate(batch):
            seen = tuple(layer[row] for layer in layers)
            yield Look(sample, seen, features.dense[row], features.class_token[row], inside)

    def _inside(self, sample: Sample, images: Tensor) -> Tensor | None:
        """(gh * gw,) bool, patches with a pixel where to look; ``None`` for all."""
        if sample.inside is None or not self.drops_patches:
            return None
        grid = [
            side // patch
            for side, patch in zip(images.shape[2:], self.backbone.patch_size, strict=True)
        ]
        mask = torch.from_numpy(sample.inside).to(images.device)[None, None].float()
        kept = F.adaptive_max_pool2d(mask, grid).flatten() > 0
        return None if kept.all() or not kept.any() else kept

    def turned(self, samples: Sequence[Sample]) -> list[Sample]:
        """Pictures and their rotations, each picture's upright copy first."""
        return [
            replace(sample, image=image, mask=None, inside=inside)
            for sample in samples
            for image, inside in zip(
                rotated(sample.image, self.settings.rotations),
                _rotated_mask(sample.inside, self.settings.rotations),
                strict=True,
            )
        ]

    def describe_features(self) -> dict[str, object]:
        """The part of a protocol card that tells about features."""
        return {
            "model": self.backbone.name,
            "short_side": self.settings.short_side,
            "finest_side": self.settings.finest_side,
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
    """Mean of the highest `share` of a map, at least one value; nan is not looked at."""
    values = patch_map[~patch_map.isnan()]
    return float(values.topk(max(1, round(share * len(values)))).values.mean())


def _rotated_mask(mask: NDArray[np.bool_] | None, count: int) -> list[NDArray[np.bool_] | None]:
    """`rotated` for a mask (H, W), or for none."""
    if mask is None:
        return [None] * count
    return [np.asarray(turn >= 128) for turn in rotated(mask.astype(np.uint8) * 255, count)]


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
