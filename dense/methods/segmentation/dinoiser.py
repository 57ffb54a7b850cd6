"""CLIP-DINOiser: two convolutions learn DINO's correlations and its foreground from CLIP's tokens.

Wysoczańska et al., "CLIP-DINOiser: Teaching CLIP a few DINO tricks for open-vocabulary semantic
segmentation", ECCV 2024, arXiv:2312.12359. After training on a thousand pictures without labels the
second network is no longer needed: MaskCLIP's features are averaged over the patches that the first
convolution finds alike. Hence it stands between MaskCLIP and ProxyCLIP, at MaskCLIP's price.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn

from dense.backbones.blocks import attend
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.heads.pixel import class_probabilities, text_similarity
from dense.methods.learned_files import fill_learned, read_learned
from dense.methods.method import needs_weights
from dense.methods.segmentation.base import PatchMethod, Setting, builder
from dense.methods.segmentation.maskclip import VALUE_PATH
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.providers.base import cosine
from dense.structures import TextClassifier

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.methods.segmentor import OpenVocabSegmentor

NAME = "clip-dinoiser"
SMALLEST = 1e-6


@dataclass(frozen=True)
class DinoiserSettings:
    """Settings of CLIP-DINOiser, the authors' by default.

    Attributes:
        cut: Correlations below count as none (γ).
        certain: Patches whose largest probability is below and that are no foreground go to the
            background class, where the vocabulary has one (δ; VOC21 and COCO-Object).
        width: Channels of the correlation convolution.
        block: The block, from the end, whose tokens before the feed-forward branch are read.
    """

    cut: float = 0.2
    certain: float = 0.99
    width: int = 256
    block: int = -3


class DinoiserParts(nn.Module):
    """The two convolutions.

    Args:
        channels: C, width of the tower.
        settings: Of the method.
    """

    def __init__(self, channels: int, settings: DinoiserSettings) -> None:
        super().__init__()
        width = settings.width
        self.correlation = nn.Conv2d(channels, width, 3, padding=1, padding_mode="replicate")
        self.foreground = nn.Conv2d(channels, 1, 1)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, C, gh, gw) → correlations (B, N, N), foreground logits (B, gh, gw)."""
        tokens = tokens.float()
        unit = nn.functional.normalize(tokens, dim=1)
        return cosine(self.correlation(tokens)), self.foreground(unit)[:, 0]


@dataclass(frozen=True)
class CLIPDinoiser(PatchMethod):
    """CLIP-DINOiser (Wysoczańska et al. 2024).

    Attributes:
        parts: The learned convolutions.
        settings: See `DinoiserSettings`.
        origin: Where the parts come from, for the protocol card.
    """

    name: ClassVar[str] = NAME
    parts: DinoiserParts
    settings: DinoiserSettings = DinoiserSettings()
    origin: str = "untrained"

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """MaskCLIP's features averaged over correlated patches. See the base class."""
        correlation, _ = self.parts(inner_tokens(vit, trace, self.settings.block))
        return self._pool(vit, trace, correlation)

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Cosine similarity; uncertain patches that are no foreground belong to the background."""
        correlation, foreground = self.parts(inner_tokens(vit, trace, self.settings.block))
        similarity = text_similarity(self._pool(vit, trace, correlation), classifier.weights)
        if classifier.background is None:
            return similarity
        logits = similarity.movedim(1, 0) * classifier.logit_scale
        best = class_probabilities(logits, classifier).amax(0)
        ground = (best < self.settings.certain) & (foreground <= 0)
        index = torch.arange(classifier.num_classes, device=similarity.device)
        if classifier.class_index is not None:
            index = classifier.class_index.to(similarity.device)
        rows = (index == classifier.background).view(1, -1, 1, 1)
        return torch.where(ground[:, None] & rows, 1.0, similarity)

    def describe(self) -> dict[str, object]:
        """Name, settings and origin, for the protocol card."""
        return {"method": NAME, "learned": self.origin, **asdict(self.settings)}

    def _pool(self, vit: DenseViT, trace: Trace, correlation: Tensor) -> Tensor:
        """(B, D, gh, gw) weighted means by correlations (B, N, N) above the cut."""
        weights = correlation.masked_fill(correlation < self.settings.cut, 0.0)
        weights = weights / (weights.sum(-1, keepdim=True) + SMALLEST)
        dense = VALUE_PATH.dense(vit, trace).float()
        mixed = weights @ dense.flatten(2).transpose(1, 2)
        return mixed.transpose(1, 2).unflatten(2, trace.layout.grid)


def inner_tokens(vit: DenseViT, trace: Trace, block: int) -> Tensor:
    """Normalised tokens (B, C, gh, gw) between the two branches of a block.

    Args:
        vit: The tower.
        trace: Of a batch.
        block: Negative, counted from the end; the first one where the tower has fewer.
    """
    index = max(0, vit.num_blocks + block)
    part, x = vit.tower.blocks[index], trace.entering[index]
    x = part.normalise_hidden(x + part.attention_branch(attend(*part.qkv(x))))
    return x[:, trace.layout.prefix :].transpose(1, 2).unflatten(2, trace.layout.grid)


def build(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    protocol: SegmentProtocol = WHOLE,
    batch_size: int = 4,
    weights: str | None = None,
    **settings: Setting,
) -> OpenVocabSegmentor:
    """Make the segmentor from a file of learned parts; its settings come with it.

    Args:
        backbone: The CLIP that the parts were trained on.
        classifier: The vocabulary.
        protocol: How it is run.
        batch_size: Images or windows at once.
        weights: File of the learned parts, made by ``dense train``.
        settings: None; any is refused.

    Raises:
        InputError: If there is no file, or it is corrupt or of another model.
    """
    if weights is None:
        raise needs_weights(NAME)
    method = read(weights, backbone)
    finish = builder(lambda: method)
    return finish(backbone, classifier, protocol=protocol, batch_size=batch_size, **settings)


def read(path: str, backbone: CLIPBackbone) -> CLIPDinoiser:
    """The method from a file of learned parts.

    Raises:
        InputError: If it is corrupt or belongs to another method or model.
    """
    state, settings = read_learned(path, NAME, backbone, DinoiserSettings)
    parts = DinoiserParts(backbone.vit.tower.width, settings)
    fill_learned(parts, state, path)
    return CLIPDinoiser(parts.to(backbone.device).eval(), settings, Path(path).name)
