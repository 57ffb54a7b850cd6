"""APRIL-GAN (VAND): a linear layer a block maps patch tokens to text; k-shot adds patch memories.

Chen et al., "APRIL-GAN: A Zero-/Few-Shot Anomaly Classification and Segmentation Method for CVPR
2023 VAND Workshop Challenge Tracks 1&2", arXiv:2305.17382. What differs from the published code:

- maps are means over layers, not sums (same ranking, values in [0, 1] without support);
- with support, the image score is half the text score and half the map's maximum; the published
  code first rescales the maxima by their minimum and maximum over the whole test set, which no
  single picture can have;
- support images are chosen without repetition, and everything runs in fp32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from dense.backbones.depth import QUARTERS, layer_indices
from dense.errors import InputError
from dense.heads.layered import enlarged
from dense.heads.memory import association, unit_rows
from dense.heads.window import anomaly_probability
from dense.methods.anomaly.adapters import (
    SCALE,
    LayerAdapters,
    adapter_losses,
    layer_probabilities,
)
from dense.methods.anomaly.base import by_category
from dense.methods.anomaly.ensembles import APRIL_GAN, mean_prototypes
from dense.methods.anomaly.learned import LearnedInspector, Truth, learned_builder
from dense.methods.batching import iter_batches
from dense.methods.learned_files import numbered, read_published
from dense.structures import Sample, Size


@dataclass(frozen=True)
class AprilGanSettings:
    """Settings of `AprilGanInspector`.

    Attributes:
        layers: Blocks with a linear layer, see `dense.backbones.depth.layer_indices`.
        memory_layers: Blocks that are remembered of support images.
        input_size: Side of the square input; ``None`` scales 518 to the model.
        sigma: Gaussian smoothing in input pixels; none in the paper.
    """

    layers: tuple[int | float, ...] = QUARTERS
    memory_layers: tuple[int | float, ...] = QUARTERS
    input_size: int | None = None
    sigma: float = 0.0


PAPER = AprilGanSettings()


@dataclass(frozen=True)
class _Seen:
    """A batch: image features (B, D), tokens (B, N, C) by block, (gh, gw)."""

    image: Tensor
    tokens: dict[int, Tensor]
    grid: Size


class AprilGanInspector(LearnedInspector):
    """Zero-shot by words, few-shot by words and memories; see `LearnedInspector`."""

    name = "april-gan"
    title = "APRIL-GAN"
    paper = PAPER
    settings: AprilGanSettings
    learned: LayerAdapters

    def make_learned(self) -> LayerAdapters:
        """A linear layer for each layer that makes a map."""
        vit = self.backbone.vit
        self.layers = layer_indices(self.settings.layers, vit.num_blocks)
        self.memory_layers = layer_indices(self.settings.memory_layers, vit.num_blocks)
        self._banks: dict[str, tuple[Tensor, ...]] = {}
        self._shots: set[int] = set()
        return LayerAdapters(vit.tower.width, self.backbone.joint_dim, len(self.layers))

    def state_weights(self, category: str = "") -> Tensor:
        """(2, D) normal and anomalous prototypes of a category, built once."""
        if category not in self._weights:
            words = self.words(category)
            self._weights[category] = mean_prototypes(self.backbone, words, APRIL_GAN)
        return self._weights[category]

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> AprilGanInspector:
        """Remember patches of normal images; replaces the memories of the categories that occur.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        self._shots = set()
        for category, chosen in by_category(support):
            rows: list[list[Tensor]] = [[] for _ in self.memory_layers]
            squash = iter_batches(self.backbone, chosen, lambda _: self.input_size, self.batch_size)
            for _, images in squash:
                seen = self._look(images)
                for row, index in zip(rows, self.memory_layers, strict=True):
                    row.append(unit_rows(seen.tokens[index]))
            self._banks[category] = tuple(torch.cat(row) for row in rows)
            self._shots.add(len(chosen))
        return self

    def score(self, images: Tensor, categories: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w) and image scores (B,)."""
        seen, weights = self._look(images), self.prototypes(categories)
        layers = self._probabilities(seen, weights, (images.shape[-2], images.shape[-1]))
        maps = torch.stack([layer[:, 1] for layer in layers]).sum(0)
        scores = torch.stack(
            [
                anomaly_probability(image, own, 1 / SCALE)
                for image, own in zip(seen.image, weights, strict=True)
            ]
        )
        counts = torch.full((len(images),), float(len(layers)), device=maps.device)
        for row, category in enumerate(categories):
            if category in self._banks:
                maps[row] += self._memory_map(seen, row, self._banks[category], maps.shape[1:])
                counts[row] += len(self.memory_layers)
        maps = maps / counts.view(-1, 1, 1)
        known = torch.tensor([category in self._banks for category in categories])
        peaks = (scores + maps.flatten(1).amax(1)) / 2
        return maps, torch.where(known.to(scores.device), peaks, scores)

    def losses(self, images: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Focal and Dice losses of every layer's map."""
        with torch.no_grad():
            seen, weights = self._look(images), self.prototypes(truth.categories)
        size = (images.shape[-2], images.shape[-1])
        return adapter_losses(self._probabilities(seen, weights, size), truth.masks)

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range."""
        return (0.1, 0.6) if self._banks else (0.1, 0.9)

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        score = "text probability"
        if self._banks:
            score = "mean of text probability and map maximum; no test-set rescaling"
        return {
            **super().describe(),
            "layers": self.layers,
            "memory_layers": self.memory_layers,
            "shots": sorted(self._shots),
            "image_score": score,
        }

    def _look(self, images: Tensor) -> _Seen:
        indices = sorted({*self.layers, *self.memory_layers})
        features = self.backbone.vit(images, intermediates=indices)
        tokens = [layer.flatten(2).transpose(1, 2) for layer in features.intermediates]
        found = dict(zip(indices, tokens, strict=True))
        return _Seen(features.class_token, found, features.grid)

    def _probabilities(self, seen: _Seen, weights: Tensor, size: Size) -> list[Tensor]:
        features = self.learned([seen.tokens[index] for index in self.layers])
        return layer_probabilities(features, weights, seen.grid, size)

    def _memory_map(
        self, seen: _Seen, row: int, banks: Sequence[Tensor], size: Sequence[int]
    ) -> Tensor:
        """Sum over layers of 1 - cosine to the nearest remembered patch, (h, w)."""
        total = torch.zeros(*size, device=seen.image.device)
        for index, bank in zip(self.memory_layers, banks, strict=True):
            distance = 2 * association(seen.tokens[index][row], bank)
            large = enlarged(
                distance.view(1, -1, 1), seen.grid, (size[0], size[1]), align_corners=True
            )
            total += large[0, 0]
        return total


def _published(path: str | Path) -> tuple[dict[str, Tensor], AprilGanSettings]:
    return published_state(path), PAPER


def published_state(path: str | Path, entry: str = "trainable_linearlayer") -> dict[str, Tensor]:
    """The authors' file (``{entry: {"fc.N.weight", "fc.N.bias"}}``) in our names.

    Raises:
        InputError: If it has another layout.
    """
    state = read_published(path, entry)
    if not numbered(state, "fc") or any(not key.startswith("fc.") for key in state):
        raise InputError(f"{path} does not hold linear layers fc.0, fc.1, ... as published")
    return {f"layers.{key.removeprefix('fc.')}": value for key, value in state.items()}


build = learned_builder(AprilGanInspector, AprilGanSettings, _published)
"""Catalogue entry: learned parts of ours or of the authors."""
