"""AdaCLIP: static and dynamic prompts in both towers, and fusion of anomalous patches.

Cao et al., "AdaCLIP: Adapting CLIP with Hybrid Learnable Prompts for Zero-Shot Anomaly Detection",
ECCV 2024, arXiv:2407.15795. Dynamic prompts are linear in the frozen image feature (section 3.3);
prompts enter the first blocks of both towers, linear layers project patches and class token, and
the image score looks at the fusion of section 3.4. Differences from the published code:

- batches of any size (there one picture, for the text tower reads prompts made of the image);
- clusters by our own seeded k-means (there unseeded, so that runs differ); fewer of them where
  the grid has fewer patches;
- everything runs in fp32; there prompts are rounded to half precision;
- the last epoch counts: the authors advise several runs and the best of them on test data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.depth import QUARTERS, layer_indices
from dense.backbones.prompting import encode_prompts, run_prompted, text_parts
from dense.heads.layered import enlarged, state_cosines
from dense.heads.semantic_fusion import fused_feature
from dense.methods.anomaly.adapters import SCALE
from dense.methods.anomaly.ensembles import ADACLIP
from dense.methods.anomaly.hybrid_prompts import HybridPrompts, published_state
from dense.methods.anomaly.learned import LearnedInspector, Truth, learned_builder
from dense.structures import Size
from dense.training.mask_losses import dice, focal


@dataclass(frozen=True)
class AdaCLIPSettings:
    """Settings of `AdaCLIPInspector`.

    Attributes:
        layers: Blocks whose patches make maps.
        depth: Blocks of each tower with prompts; fewer where a tower has fewer. In the text tower
            the first of them keeps its words.
        length: Prompts a block.
        clusters: K of the fusion.
        fusion: Weight of the fused feature against the class token; 0 turns the fusion off.
        input_size: Side of the square input; ``None`` scales 518 to the model.
        sigma: Gaussian smoothing in input pixels.
    """

    layers: tuple[int | float, ...] = QUARTERS
    depth: int = 4
    length: int = 5
    clusters: int = 20
    fusion: float = 0.2
    input_size: int | None = None
    sigma: float = 4.0


PAPER = AdaCLIPSettings()


@dataclass(frozen=True)
class _Seen:
    """A batch: logits (B, N, 2) a layer, image logits (B, 2), (gh, gw)."""

    layers: list[Tensor]
    image: Tensor
    grid: Size


class AdaCLIPInspector(LearnedInspector):
    """Zero-shot with prompts that follow the picture; see `LearnedInspector`."""

    name = "adaclip"
    title = "AdaCLIP"
    paper = PAPER
    settings: AdaCLIPSettings
    learned: HybridPrompts

    def make_learned(self) -> HybridPrompts:
        """Prompts of both towers, and the layers that make them and the features."""
        vit, settings = self.backbone.vit, self.settings
        self.parts = text_parts(self.backbone.model)
        self.layers = layer_indices(settings.layers, vit.num_blocks)
        self._tokens: dict[str, tuple[Tensor, Tensor]] = {}
        return HybridPrompts(
            joint_dim=self.backbone.joint_dim,
            text_width=self.parts.width,
            image_width=vit.tower.width,
            text_depth=min(settings.depth, len(self.parts.blocks)) - 1,
            image_depth=min(settings.depth, vit.num_blocks),
            length=settings.length,
            layers=len(self.layers),
        )

    def score(self, images: Tensor, categories: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Maps (B, h, w) and image scores (B,): logits of all layers are averaged first."""
        seen = self._look(images, categories)
        size: Size = (images.shape[-2], images.shape[-1])
        large = [enlarged(x, seen.grid, size, align_corners=True) for x in seen.layers]
        maps = torch.stack(large).mean(0).softmax(1)[:, 1]
        return maps, seen.image.softmax(-1)[:, 1]

    def losses(self, images: Tensor, truth: Truth) -> dict[str, Tensor]:
        """Focal loss of the image; focal and Dice losses of every layer's map (section 3.5)."""
        seen, masks = self._look(images, truth.categories), truth.masks
        size: Size = (images.shape[-2], images.shape[-1])
        large = [enlarged(x, seen.grid, size, align_corners=True) for x in seen.layers]
        layers = [x.softmax(1) for x in large]
        overlap = [dice(p[:, 1], masks) + dice(p[:, 0], ~masks) for p in layers]
        return {
            "loss_image": focal(seen.image.softmax(-1), truth.labels),
            "loss_focal": torch.stack([focal(p, masks) for p in layers]).sum(),
            "loss_dice": torch.stack(overlap).sum(),
        }

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        return {
            **super().describe(),
            "layers": self.layers,
            "image_score": "class token and fused patches",
        }

    def text_features(self, dynamic: Tensor, category: str) -> Tensor:
        """(2, D) unit rows for one picture.

        Args:
            dynamic: (n, C) prompts made of the picture.
            category: Of the picture.
        """
        rows = []
        for tokens in self._prompt_tokens(category):
            inserted = {
                index: dynamic + static
                for index, static in enumerate(self.learned.static_text, start=1)
            }
            features = encode_prompts(self.parts, tokens.to(self.backbone.device), inserted)
            rows.append(F.normalize(features.float(), dim=-1).mean(0))
        return F.normalize(torch.stack(rows), dim=-1)

    def _prompt_tokens(self, category: str) -> tuple[Tensor, Tensor]:
        if category not in self._tokens:
            words = self.words(category).replace("-", " ")
            normal, anomalous = ADACLIP.prompts(words)
            tokenizer = self.backbone.tokenizer
            self._tokens[category] = (tokenizer(normal), tokenizer(anomalous))
        return self._tokens[category]

    def _look(self, images: Tensor, categories: Sequence[str]) -> _Seen:
        vit, learned = self.backbone.vit, self.learned
        with torch.no_grad():
            plain = vit.encode_image(images).float()
        text_prompts, image_prompts = learned.dynamic(plain)
        visual = [image_prompts + static for static in learned.static_image]
        tokens = run_prompted(vit, images, visual, self.layers)
        features = [
            F.normalize(feature, dim=-1)
            for feature in learned.patches([layer.float() for layer in tokens.layers])
        ]
        text = torch.stack(
            [self.text_features(p, c) for p, c in zip(text_prompts, categories, strict=True)]
        )
        logits = [SCALE * state_cosines(feature, text) for feature in features]
        image = F.normalize(learned.image(tokens.pooled.float()), dim=-1)
        share = self.settings.fusion
        if share:
            mean = torch.stack(logits).mean(0)
            fused = fused_feature(features, mean, self.settings.clusters)
            image = F.normalize(share * fused + (1 - share) * image, dim=-1)
        return _Seen(logits, SCALE * state_cosines(image.unsqueeze(1), text)[:, 0], tokens.grid)


def _published(path: str | Path) -> tuple[dict[str, Tensor], AdaCLIPSettings]:
    state, depth, length = published_state(path)
    return state, replace(PAPER, depth=depth, length=length)


build = learned_builder(AdaCLIPInspector, AdaCLIPSettings, _published)
"""Catalogue entry: learned parts of ours or of the authors."""
