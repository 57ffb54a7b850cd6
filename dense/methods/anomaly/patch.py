"""Anomaly inspection by patches: words on dense features, and a memory of normal patches.

One forward pass an image, no windows: about a tenth of WinCLIP's work. Without support images the
map is the probability of the anomalous state of every patch (the training-free core of APRIL-GAN,
Chen et al. 2023); after `fit` it is the distance to the nearest remembered patch (PatchCore, Roth
et al. 2022, on CLIP features; AnomalyDINO, Damm et al. 2025, for rotations and the top-1 % score).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, LastBlock
from dense.backbones.attention import AS_TRAINED
from dense.backbones.preprocess import fit_short_side
from dense.backbones.recommended import Recommended
from dense.classifier import build_state_weights
from dense.errors import InputError
from dense.heads.memory import association, unit_rows
from dense.heads.window import anomaly_probability
from dense.methods.anomaly.base import Inspector, by_category
from dense.methods.batching import iter_batches
from dense.structures import AnomalyResult, Sample, Size


@dataclass(frozen=True)
class PatchProtocol:
    """Settings of `PatchInspector`.

    Attributes:
        block: How the last block makes the dense features that are compared with words.
        layers: Block outputs that are remembered; their distances are averaged.
        short_side: Input short side in pixels, aspect kept.
        neighbourhood: Side of the average pooling of remembered features, in patches.
        rotations: Support images are also remembered turned by multiples of 360° / rotations.
        top: Share of the highest pixels of the patch map whose mean is the image score.
        temperature: Divides cosine similarities to words.
        class_token: Weight of the whole image's own text score in the zero-shot image score.
    """

    block: LastBlock = AS_TRAINED
    layers: tuple[int, ...] = (-5,)
    short_side: int = 336
    neighbourhood: int = 1
    rotations: int = 1
    top: float = 0.01
    temperature: float = 0.01
    class_token: float = 0.0


DEFAULT = PatchProtocol()


def recommended_protocol(advice: Recommended, *, with_support: bool) -> PatchProtocol:
    """The protocol that a checkpoint recommends, with or without support images."""
    return PatchProtocol(
        block=advice.block,
        layers=advice.memory_layers,
        short_side=advice.memory_short_side if with_support else advice.words_short_side,
        class_token=advice.class_token_share,
    )


class PatchInspector(Inspector):
    """Zero- and few-shot inspection from one dense forward pass.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many.
        protocol: Settings; state them with any published number.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        protocol: PatchProtocol = DEFAULT,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        if protocol.neighbourhood % 2 == 0 or not 0 < protocol.top <= 1 or protocol.rotations < 1:
            raise InputError(
                "neighbourhood must be odd, top in (0, 1] and rotations at least 1, got "
                f"{protocol.neighbourhood}, {protocol.top} and {protocol.rotations}"
            )
        super().__init__(backbone, products, batch_size=batch_size, threshold=threshold)
        self.protocol = protocol
        self._weights: dict[str, Tensor] = {}
        self._banks: dict[str, tuple[Tensor, ...]] = {}

    def state_weights(self, category: str = "") -> Tensor:
        """(2, D) normal and anomalous prototypes of a category, built once."""
        if category not in self._weights:
            self._weights[category] = build_state_weights(self.backbone, self.words(category))
        return self._weights[category]

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> PatchInspector:
        """Remember normal images; replaces the memories of the categories that occur.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        for category, chosen in by_category(support):
            turned = [
                replace(sample, image=image, mask=None)
                for sample in chosen
                for image in rotated(sample.image, self.protocol.rotations)
            ]
            rows: list[list[Tensor]] = [[] for _ in self.protocol.layers]
            for _, images in self._batches(turned):
                for row, feature in zip(rows, self._remembered(images), strict=True):
                    row.append(unit_rows(feature.flatten(2).transpose(1, 2)))
            self._banks[category] = tuple(torch.cat(row) for row in rows)
        return self

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        results = []
        for batch, images in self._batches(samples):
            features = self.backbone.vit(
                images, self.protocol.block, intermediates=self.protocol.layers
            )
            layers = [self._pool(layer) for layer in features.intermediates]
            for row, sample in enumerate(batch):
                if sample.category in self._banks:
                    bank = self._banks[sample.category]
                    patch_map = self._distance([layer[row] for layer in layers], bank)
                    score = top_mean(patch_map, self.protocol.top)
                else:
                    weights = self.state_weights(sample.category)
                    patch_map = self._probability(features.dense[row].permute(1, 2, 0), weights)
                    score = self._text_score(patch_map, features.class_token[row], weights)
                results.append(self.result(patch_map, score, sample.image_size))
        return results

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range; distances are lower than probabilities."""
        return (0.08, 0.3) if self._banks else (0.3, 1.0)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        protocol = self.protocol
        return {
            "method": "patch memory" if self._banks else "patch words",
            "model": self.backbone.name,
            "short_side": protocol.short_side,
            "layers": protocol.layers,
            "neighbourhood": protocol.neighbourhood,
            "rotations": protocol.rotations,
            "top": protocol.top,
            "class_token": protocol.class_token,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def _batches(self, samples: Sequence[Sample]) -> Iterator[tuple[Sequence[Sample], Tensor]]:
        def size(original: Size) -> Size:
            side = self.protocol.short_side
            return fit_short_side(original, side, self.backbone.patch_size, 4 * side)

        return iter_batches(self.backbone, samples, size, self.batch_size)

    def _remembered(self, images: Tensor) -> list[Tensor]:
        features = self.backbone.vit(images, intermediates=self.protocol.layers)
        return [self._pool(layer) for layer in features.intermediates]

    def _pool(self, layer: Tensor) -> Tensor:
        """Unit features averaged over their neighbourhood. (B, C, gh, gw), same shape."""
        side = self.protocol.neighbourhood
        unit = F.normalize(layer.float(), dim=1)
        return F.avg_pool2d(unit, side, 1, side // 2, count_include_pad=False)

    def _distance(self, layers: Sequence[Tensor], banks: Sequence[Tensor]) -> Tensor:
        """Mean distance over layers, (gh, gw). layers (C, gh, gw) each."""
        maps = [
            association(layer.permute(1, 2, 0), bank)
            for layer, bank in zip(layers, banks, strict=True)
        ]
        return torch.stack(maps).mean(0)

    def _probability(self, features: Tensor, weights: Tensor) -> Tensor:
        return anomaly_probability(features, weights, self.protocol.temperature)

    def _text_score(self, patch_map: Tensor, class_token: Tensor, weights: Tensor) -> float:
        share = self.protocol.class_token
        whole = float(self._probability(class_token, weights))
        return (1 - share) * top_mean(patch_map, self.protocol.top) + share * whole


def top_mean(patch_map: Tensor, share: float) -> float:
    """Mean of the highest `share` of a map, at least one value."""
    values = patch_map.flatten()
    return float(values.topk(max(1, round(share * len(values)))).values.mean())


def rotated(image: np.ndarray, count: int) -> list[np.ndarray]:
    """The picture turned by multiples of 360° / count about its centre, edges replicated."""
    import cv2

    height, width = image.shape[:2]
    centre = ((width - 1) / 2, (height - 1) / 2)
    turned = [image]
    for step in range(1, count):
        matrix = cv2.getRotationMatrix2D(centre, 360 * step / count, 1.0)
        flags, border = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
        turned.append(
            np.asarray(
                cv2.warpAffine(image, matrix, (width, height), flags=flags, borderMode=border)
            )
        )
    return turned


def build(
    backbone: CLIPBackbone,
    products: str | Mapping[str, str],
    *,
    shots: int = 0,
    batch_size: int = 8,
    threshold: float | None = None,
    weights: str | None = None,
) -> PatchInspector:
    """Catalogue entry: the settings that the checkpoint recommends."""
    protocol = recommended_protocol(backbone.recommended, with_support=shots > 0)
    return PatchInspector(
        backbone, products, protocol=protocol, batch_size=batch_size, threshold=threshold
    )
