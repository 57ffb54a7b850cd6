"""CLIP-AD: staged value-value paths with feature surgery (SDP), and linear layers beside (SDP+).

Chen et al., "CLIP-AD: A Language-Guided Staged Dual-Path Model for Zero-shot Anomaly Detection",
arXiv:2311.00453. Representative vectors of the prompts (section 3.2), a second path that begins
anew after every chosen layer (3.3), and APRIL-GAN's linear layers on the original path (3.4).
Differences from the published code:

- maps are means over layers, not sums (same ranking);
- the image score is half the text score and half the map's maximum as a probability; the published
  code adds both after rescaling each by its minimum and maximum over the whole test set;
- the published code adds in place, so that class and patch tokens of all layers but the last carry
  the attention of the next block, too; `leak` does the same and is set with the authors' file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.blocks import Block, attend, run_block
from dense.backbones.depth import QUARTERS, layer_indices
from dense.backbones.dual_path import parallel_outputs
from dense.backbones.trace import Trace
from dense.errors import InputError
from dense.heads.layered import enlarged, state_cosines, surgery
from dense.heads.representative import representative
from dense.heads.window import anomaly_probability
from dense.methods.anomaly.adapters import (
    SCALE,
    LayerAdapters,
    adapter_losses,
    layer_probabilities,
)
from dense.methods.anomaly.april_gan import published_state
from dense.methods.anomaly.ensembles import CLIP_AD
from dense.methods.anomaly.learned import LearnedInspector, Truth, learned_builder
from dense.structures import Size


@dataclass(frozen=True)
class ClipAdSettings:
    """Settings of `ClipAdInspector`.

    Attributes:
        layers: Blocks whose paths make maps; the second path begins anew behind each.
        representative: A name of `dense.heads.representative.REPRESENTATIVES`.
        adapters: SDP+: linear layers on the original path, too.
        leak: See the module.
        input_size: Side of the square input; ``None`` takes the model's own, as published.
        sigma: Gaussian smoothing in input pixels (published: 8; 2 for SDP+ on VisA).
    """

    layers: tuple[int | float, ...] = QUARTERS
    representative: str = "dbscan"
    adapters: bool = False
    leak: bool = False
    input_size: int | None = None
    sigma: float = 8.0


SDP = ClipAdSettings()
SDP_PLUS = ClipAdSettings(adapters=True)


@dataclass(frozen=True)
class _Seen:
    """A batch: unit class features (B, D), second path (B, N, D), tokens (B, N, C), by layer."""

    classes: list[Tensor]
    beside: list[Tensor]
    tokens: list[Tensor]
    grid: Size


class ClipAdInspector(LearnedInspector):
    """SDP, which learns nothing, or SDP+ (`settings.adapters`); see `LearnedInspector`."""

    name = "clip-ad"
    title = "CLIP-AD SDP"
    paper = SDP
    needs_weights = False
    enlarged = 1.0
    settings: ClipAdSettings
    learned: LayerAdapters

    def make_learned(self) -> LayerAdapters:
        """A linear layer for each layer of SDP+; none of SDP."""
        vit = self.backbone.vit
        self.layers = layer_indices(self.settings.layers, vit.num_blocks)
        count = len(self.layers) if self.settings.adapters else 0
        return LayerAdapters(vit.tower.width, self.backbone.joint_dim, count)

    def state_weights(self, category: str = "") -> Tensor:
        """(2, D) representative vectors of a category's prompts, built once."""
        if category not in self._weights:
            rows = [
                representative(self.backbone.encode_text(prompts), self.settings.representative)
                for prompts in CLIP_AD.prompts(self.words(category))
            ]
            self._weights[category] = torch.stack(rows)
        return self._weights[category]

    def score(self, images: Tensor, categories: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w) and image scores (B,)."""
        seen, text = self._look(images), self.prototypes(categories)
        size: Size = (images.shape[-2], images.shape[-1])
        cut = [
            surgery(state_cosines(beside, text), state_cosines(image.unsqueeze(1), text)[:, 0])
            for beside, image in zip(seen.beside, seen.classes, strict=True)
        ]
        mean = torch.stack(cut).mean(0)[..., 1:]
        maps = enlarged(mean, seen.grid, size, align_corners=False)[:, 0]
        peak = torch.sigmoid(2 * SCALE * maps.flatten(1).amax(1))
        if self.settings.adapters:
            layers = layer_probabilities(self.learned(seen.tokens), text, seen.grid, size)
            learned = torch.stack([layer[:, 1] for layer in layers]).mean(0)
            peak = (peak + learned.flatten(1).amax(1)) / 2
            maps = maps + learned
        whole = torch.stack(
            [
                anomaly_probability(image, own, 1 / SCALE)
                for image, own in zip(seen.classes[-1], text, strict=True)
            ]
        )
        return maps, (whole + peak) / 2

    def losses(self, images: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Focal and Dice losses of every linear layer's map.

        Raises:
            InputError: If the settings have no linear layers.
        """
        if not self.settings.adapters:
            raise InputError(
                "CLIP-AD SDP has nothing to train: set adapters=True in its settings for SDP+"
            )
        with torch.no_grad():
            seen, text = self._look(images), self.prototypes(truth.categories)
        size: Size = (images.shape[-2], images.shape[-1])
        layers = layer_probabilities(self.learned(seen.tokens), text, seen.grid, size)
        return adapter_losses(layers, truth.masks)

    @property
    def heat_scale(self) -> tuple[float, float]:
        """Colour range."""
        return (0.0, 0.8) if self.settings.adapters else (-0.01, 0.03)

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        return {
            **super().describe(),
            "method": "CLIP-AD SDP+" if self.settings.adapters else self.title,
            "layers": self.layers,
            "image_score": "mean of text and map probability; no test-set rescaling",
        }

    def _look(self, images: Tensor) -> _Seen:
        vit = self.backbone.vit
        trace = vit.trace(images)
        path = (trace.entering[0], *parallel_outputs(vit, trace, 0))
        after = (*trace.entering[1:], run_block(vit.tower.blocks[-1], trace.entering[-1]))
        begins = (0, *(layer + 1 for layer in self.layers[:-1]))
        prefix = trace.layout.prefix
        original = [self._original(trace, after, layer) for layer in self.layers]
        return _Seen(
            [F.normalize(vit.tower.pool(tokens).float(), dim=-1) for tokens in original],
            [
                vit.tower.project((path[layer + 1] - path[begin])[:, prefix:])
                for layer, begin in zip(self.layers, begins, strict=True)
            ],
            [tokens[:, prefix:] for tokens in original],
            trace.layout.grid,
        )

    def _original(self, trace: Trace, after: Sequence[Tensor], layer: int) -> Tensor:
        """Tokens (B, T, C) after a block, with the leak if it is asked for."""
        following = layer + 1
        if not self.settings.leak or following == len(after):
            return after[layer]
        block: Block = self.backbone.vit.tower.blocks[following]
        entering = trace.entering[following]
        return entering + block.attention_branch(attend(*block.qkv(entering)))


def _published(path: str | Path) -> tuple[dict[str, Tensor], ClipAdSettings]:
    """The authors' file, which was trained with the leak."""
    return published_state(path, "linear_layers"), replace(SDP_PLUS, leak=True)


build = learned_builder(ClipAdInspector, ClipAdSettings, _published)
"""Catalogue entry: SDP without weights, SDP+ with ours or the authors'."""
