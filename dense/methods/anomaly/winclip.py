"""Anomaly inspection by windows: WinCLIP without, WinCLIP+ with normal support images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.classifier import build_state_weights
from dense.errors import InputError, NotFittedError
from dense.heads.memory import association, unit_rows
from dense.heads.window import anomaly_probability, harmonic_aggregation, harmonic_mean
from dense.methods.anomaly.base import Inspector, by_category
from dense.methods.batching import iter_batches
from dense.prompts import Ensemble
from dense.regions import window_indices
from dense.structures import AnomalyResult, Sample, Size


@dataclass(frozen=True)
class WindowProtocol:
    """The choices in which published WinCLIP implementations differ.

    Attributes:
        windows: Sides of the square windows in patches; the whole image is always a scale.
        ensemble: ``"winclip"`` (154 / 88 prompts) or ``"anomalib"`` (147 / 84).
        temperature: 0.01 is CLIP's own; anomalib and Accurate-WinCLIP use 0.07.
        normalise_prompts: Normalise each prompt's embedding before the mean.
        normed_patches: Remember patch tokens after the tower's final layer norm, not before.
    """

    windows: tuple[int, ...] = (2, 3)
    ensemble: Ensemble = "winclip"
    temperature: float = 0.01
    normalise_prompts: bool = True
    normed_patches: bool = False


PAPER = WindowProtocol()
ANOMALIB = WindowProtocol((2, 3), "anomalib", 0.07, False, True)


@dataclass(frozen=True)
class WindowFeatures:
    """A batch as WinCLIP sees it: image (B, D), windows (B, W, D) a scale, patches (B, N, C)."""

    image: Tensor
    windows: tuple[Tensor, ...]
    patches: Tensor
    grid: Size


@dataclass(frozen=True)
class WindowMemory:
    """Unit features of normal images: patches (M, C), windows (M, D) a scale."""

    patches: Tensor
    windows: tuple[Tensor, ...]
    shots: int


class WinCLIPInspector(Inspector):
    """WinCLIP and WinCLIP+ (Jeong et al., CVPR 2023) for one or many products.

    Zero-shot, the score of the whole image and of every window is the probability of the
    anomalous state; window scores spread to patches by harmonic means. After `fit`, the distance
    to remembered normal features is averaged in. Pictures are squashed to `input_size`.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many (categories come with
            the samples; unknown ones use their own name).
        protocol: Details in which implementations differ; `PAPER` or `ANOMALIB`.
        input_size: (h, w) in pixels, multiples of the patch; the tower's own if ``None``.
        batch_size: Images that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.

    Raises:
        InputError: If a window does not fit the grid or a product is blank.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        products: str | Mapping[str, str],
        *,
        protocol: WindowProtocol = PAPER,
        input_size: Size | None = None,
        batch_size: int = 8,
        threshold: float | None = None,
    ) -> None:
        super().__init__(backbone, products, batch_size=batch_size, threshold=threshold)
        self.protocol = protocol
        self.input_size: Size = input_size or backbone.image_size
        ph, pw = backbone.patch_size
        if self.input_size[0] % ph or self.input_size[1] % pw:
            raise InputError(
                f"input_size must be a multiple of the patch {(ph, pw)}, got {self.input_size}"
            )
        self.grid: Size = (self.input_size[0] // ph, self.input_size[1] // pw)
        self.windows = [window_indices(self.grid, side) for side in protocol.windows]
        self._weights: dict[str, Tensor] = {}
        self._memories: dict[str, WindowMemory] = {}
        for category in self.products:
            self.state_weights(category)

    def state_weights(self, category: str = "") -> Tensor:
        """(2, D) normal and anomalous prototypes of a category, built once."""
        if category not in self._weights:
            protocol = self.protocol
            self._weights[category] = build_state_weights(
                self.backbone,
                self.words(category),
                ensemble=protocol.ensemble,
                normalise=protocol.normalise_prompts,
            )
        return self._weights[category]

    def memory(self, category: str = "") -> WindowMemory:
        """Memory bank of a fitted category.

        Raises:
            NotFittedError: If `fit` has not seen the category.
        """
        if category not in self._memories:
            raise NotFittedError(
                f"no support images for category {category!r}: call fit with normal samples first"
            )
        return self._memories[category]

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> WinCLIPInspector:
        """Remember normal images; replaces the memories of the categories that occur.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        for category, chosen in by_category(support):
            parts = [self.extract(chosen[i : i + self.batch_size]) for i in self._starts(chosen)]
            self._memories[category] = WindowMemory(
                patches=torch.cat([unit_rows(part.patches) for part in parts]),
                windows=tuple(
                    torch.cat([unit_rows(part.windows[s]) for part in parts])
                    for s in range(len(self.windows))
                ),
                shots=len(chosen),
            )
        return self

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        results = []
        for start in self._starts(samples):
            batch = samples[start : start + self.batch_size]
            features = self.extract(batch)
            for row, sample in enumerate(batch):
                patch_map, score = self._score(_row(features, row), sample.category)
                results.append(self.result(patch_map, score, sample.image_size))
        return results

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range; fused scores of WinCLIP+ are lower."""
        return (0.2, 0.6) if self._memories else (0.3, 1.0)

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        shots = sorted({memory.shots for memory in self._memories.values()})
        return {
            "method": "WinCLIP+" if shots else "WinCLIP",
            "model": self.backbone.name,
            "input_size": self.input_size,
            "windows": self.protocol.windows,
            "ensemble": self.protocol.ensemble,
            "temperature": self.protocol.temperature,
            "normalise_prompts": self.protocol.normalise_prompts,
            "shots": shots,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    @torch.inference_mode()
    def extract(self, samples: Sequence[Sample]) -> WindowFeatures:
        """Features of a batch of pictures."""
        squash = iter_batches(self.backbone, samples, lambda _: self.input_size, len(samples))
        _, images = next(squash)
        vit = self.backbone.vit
        windows = [index.to(images.device) for index in self.windows]
        window_features = tuple(vit.encode_windows(images, windows))
        whole = vit(images)
        patches = whole.patch_tokens
        if self.protocol.normed_patches:
            patches = vit.normalise_patches(patches)
        return WindowFeatures(whole.class_token, window_features, patches, self.grid)

    def _score(self, features: WindowFeatures, category: str) -> tuple[Tensor, float]:
        """Patch map (gh, gw) and image score of one picture."""
        weights, temperature = self.state_weights(category), self.protocol.temperature
        text = anomaly_probability(features.image, weights, temperature)
        scales = [text.view(-1, 1, 1).expand(-1, *self.grid)]
        for window, index in zip(features.windows, self.windows, strict=True):
            scores = anomaly_probability(window, weights, temperature)
            scales.append(harmonic_aggregation(scores, index.to(scores.device), self.grid))
        text_map, text_score = harmonic_mean(scales), float(text)
        if category not in self._memories:
            return text_map[0], text_score
        memory_map = self._memory_map(features, self._memories[category])
        score = (text_score + float(memory_map.max())) / 2
        return ((text_map + memory_map) / 2)[0], score

    def _memory_map(self, features: WindowFeatures, memory: WindowMemory) -> Tensor:
        """Arithmetic mean over patches and window scales of distances to the memory."""
        maps = [association(features.patches, memory.patches).view(-1, *self.grid)]
        for window, bank, index in zip(features.windows, memory.windows, self.windows, strict=True):
            distance = association(window, bank)
            maps.append(harmonic_aggregation(distance, index.to(distance.device), self.grid))
        return torch.stack(maps).mean(0)

    def _starts(self, samples: Sequence[Sample]) -> range:
        return range(0, len(samples), self.batch_size)


def _row(features: WindowFeatures, row: int) -> WindowFeatures:
    keep = slice(row, row + 1)
    return WindowFeatures(
        features.image[keep],
        tuple(window[keep] for window in features.windows),
        features.patches[keep],
        features.grid,
    )


def build(
    backbone: CLIPBackbone,
    products: str | Mapping[str, str],
    *,
    shots: int = 0,
    batch_size: int = 8,
    threshold: float | None = None,
    weights: str | None = None,
) -> WinCLIPInspector:
    """Catalogue entry: WinCLIP as its paper has it."""
    return WinCLIPInspector(backbone, products, batch_size=batch_size, threshold=threshold)
