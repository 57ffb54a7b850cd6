"""Anomaly inspection by windows: WinCLIP without, WinCLIP+ with normal support images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.classifier import build_state_weights
from dense.errors import InputError
from dense.heads.memory import association
from dense.heads.window import (
    anomaly_probability,
    harmonic_aggregation,
    harmonic_mean,
    strided_windows,
)
from dense.methods.anomaly.base import Inspector, builder, by_category, fitted
from dense.methods.anomaly.tiles import SQUARES, WHOLE, Box, Tiling, blend, tile_boxes, tile_score
from dense.methods.anomaly.winclip_features import WindowFeatures, WindowMemory, extract, remember
from dense.prompts import Ensemble
from dense.structures import AnomalyResult, Sample, Size


@dataclass(frozen=True)
class WindowProtocol:
    """The choices in which published WinCLIP implementations differ, and ours for speed.

    Attributes:
        windows: Sides of the square windows in patches; the whole image is always a scale.
        ensemble: ``"winclip"`` (154 / 88 prompts) or ``"anomalib"`` (147 / 84).
        temperature: 0.01 is CLIP's own; anomalib and Accurate-WinCLIP use 0.07.
        normalise_prompts: Normalise each prompt's embedding before the mean.
        normed_patches: Remember patch tokens after the tower's final layer norm, not before.
        tiling: How oblong and large pictures are cut.
        window_blocks: How many of the last blocks run for each window alone; ``None``: all, as
            published. Fewer is an approximation whose windows have seen the whole image in the
            earlier blocks; 0 takes the mean of a window's dense patch features.
        stride: Step between windows in patches; above 1 is an approximation.
        memory_stride: The same for the windows of support images alone: 2 more than halves the
            time of `fit` (a third of the tokens) for a slightly coarser comparison.
    """

    windows: tuple[int, ...] = (2, 3)
    ensemble: Ensemble = "winclip"
    temperature: float = 0.01
    normalise_prompts: bool = True
    normed_patches: bool = False
    tiling: Tiling = WHOLE
    window_blocks: int | None = None
    stride: int = 1
    memory_stride: int = 1


PAPER = WindowProtocol()
SQUARE_CROPS = replace(PAPER, tiling=SQUARES)
"""As `PAPER`, and oblong pictures in squares of the short side, 0.8 of a side apart, whose scores
are averaged (mala-lab/WinCLIP, made after exchanges with the authors; facts only). Differs from
that source: the last crop counts once; tall pictures are cut along their height; references are
one memory, not one a crop."""
ANOMALIB = WindowProtocol((2, 3), "anomalib", 0.07, False, True)
FAST = replace(PAPER, window_blocks=0)
"""The approximate mode: one forward pass an image, a twelfth of the arithmetic of `PAPER`.

Image scores without support are the same. Maps are not rough copies of the exact ones: better on
some products and worse on others, with support above all, so measure before choosing it.
"""


class WinCLIPInspector(Inspector):
    """WinCLIP and WinCLIP+ (Jeong et al., CVPR 2023) for one or many products.

    Zero-shot, the score of the whole image and of every window is the probability of the
    anomalous state; window scores spread to patches by harmonic means. After `fit`, the distance
    to remembered normal features is averaged in. Pictures, or the tiles that the protocol cuts
    them into, are squashed to `input_size`.

    Args:
        backbone: A loaded CLIP.
        products: Words for the one product, or words by category for many (categories come with
            the samples; unknown ones use their own name).
        protocol: Details in which implementations differ: `PAPER`, `SQUARE_CROPS`, `ANOMALIB` or
            one's own; `FAST` is the approximate mode.
        input_size: (h, w) in pixels, multiples of the patch; the tower's own if ``None``.
        batch_size: Images, or tiles, that run at once.
        threshold: Score from which an image, and a pixel, counts as anomalous; without it no
            decision is made.

    Raises:
        InputError: If a window does not fit the grid, a stride is below 1, the tower has fewer
            blocks than `window_blocks`, or a product is blank.
    """

    reads_words = True

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
        sides, blocks = protocol.windows, backbone.vit.num_blocks
        if not 0 <= (protocol.window_blocks or 0) <= blocks:
            raise InputError(
                f"window_blocks is {protocol.window_blocks}, expected 0 to {blocks}, the blocks of "
                f"{backbone.name}, or none for all"
            )
        self.windows = [strided_windows(self.grid, n, protocol.stride) for n in sides]
        self._remembered = [strided_windows(self.grid, n, protocol.memory_stride) for n in sides]
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
                state_words=self.state_words,
            )
        return self._weights[category]

    def memory(self, category: str = "") -> WindowMemory:
        """Memory bank of a fitted category.

        Raises:
            NotFittedError: If `fit` has not seen the category.
        """
        return fitted(self._memories, category)

    @torch.inference_mode()
    def fit(self, support: Sequence[Sample]) -> WinCLIPInspector:
        """Remember normal images; replaces the memories of the categories that occur.

        Raises:
            InputError: If there is no image, or one is labelled anomalous.
        """
        for category, chosen in by_category(support):
            tiles = [tile for sample in chosen for tile in self._tiles(sample)]
            parts = [
                self.extract(batch, patches=True, windows=self._remembered)
                for batch in self._batches(tiles)
            ]
            self._memories[category] = remember(parts, len(chosen))
        return self

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures; maps come at original size, in order."""
        tiles = [tile for sample in samples for tile in self._tiles(sample)]
        found: list[tuple[Tensor, float]] = []
        for batch in self._batches(tiles):
            fitted = any(tile.category in self._memories for tile in batch)
            features = self.extract(batch, patches=fitted)
            found += [
                self._score(features.row(row), tile.category) for row, tile in enumerate(batch)
            ]
        scored = iter(found)
        return [self._join(sample, scored) for sample in samples]

    @property
    def input_side(self) -> int:
        """See the base class."""
        return min(self.input_size)

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
            "window_blocks": self.protocol.window_blocks,
            "strides": (self.protocol.stride, self.protocol.memory_stride),
            "tiling": self.protocol.tiling.kind,
            "ensemble": self.protocol.ensemble,
            "temperature": self.protocol.temperature,
            "normalise_prompts": self.protocol.normalise_prompts,
            "shots": shots,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
            **self.state_words.describe(),
        }

    @torch.inference_mode()
    def extract(
        self,
        samples: Sequence[Sample],
        *,
        patches: bool = True,
        windows: Sequence[Tensor] | None = None,
    ) -> WindowFeatures:
        """Features of a batch of pictures; `windows` are the protocol's unless others are given."""
        preprocess, protocol = self.backbone.preprocess, self.protocol
        inputs = [preprocess.resize(sample.image, self.input_size) for sample in samples]
        return extract(
            self.backbone,
            self.backbone.to_batch([preprocess.to_tensor(image) for image in inputs]),
            self.windows if windows is None else windows,
            window_blocks=protocol.window_blocks,
            patches=patches,
            normed_patches=protocol.normed_patches,
        )

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
        if features.patches is None:
            raise InputError("features were extracted without patches: pass patches=True")
        maps = [association(features.patches, memory.patches).view(-1, *self.grid)]
        for window, bank, index in zip(features.windows, memory.windows, self.windows, strict=True):
            distance = association(window, bank)
            maps.append(harmonic_aggregation(distance, index.to(distance.device), self.grid))
        return torch.stack(maps).mean(0)

    def _boxes(self, sample: Sample) -> list[Box]:
        return tile_boxes(sample.image_size, self.protocol.tiling, self.input_size)

    def _tiles(self, sample: Sample) -> list[Sample]:
        """The parts of a picture that are scored one by one."""
        return [
            Sample(sample.image[top:bottom, left:right], category=sample.category)
            for top, left, bottom, right in self._boxes(sample)
        ]

    def _join(self, sample: Sample, scored: Iterator[tuple[Tensor, float]]) -> AnomalyResult:
        """Take a picture's parts from the front of `scored` and put them together."""
        boxes = self._boxes(sample)
        parts = [next(scored) for _ in boxes]
        maps = [patch_map.float().cpu().numpy() for patch_map, _ in parts]
        whole = torch.from_numpy(blend(maps, boxes, sample.image_size))
        score = tile_score([score for _, score in parts], self.protocol.tiling)
        return self.result(whole, score, sample.image_size)

    def _batches(self, samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
        for start in range(0, len(samples), self.batch_size):
            yield samples[start : start + self.batch_size]


build = builder("winclip", lambda *_: WinCLIPInspector)
"""Catalogue entry: WinCLIP as its paper has it."""

build_fast = builder("winclip-fast", lambda *_: partial(WinCLIPInspector, protocol=FAST))
"""Catalogue entry: the approximate mode."""
