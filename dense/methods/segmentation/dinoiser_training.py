"""Training of CLIP-DINOiser's two convolutions on photographs without labels."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.batching import resized
from dense.methods.segmentation.dinoiser import (
    NAME,
    CLIPDinoiser,
    DinoiserParts,
    DinoiserSettings,
    inner_tokens,
)
from dense.methods.segmentor import OpenVocabSegmentor
from dense.providers import Provider, fitted
from dense.providers.base import cosine
from dense.structures import Sample, SegmentationResult, TextClassifier


class DinoiserTraining(nn.Module):
    """What the Runner trains: the convolutions alone are its weights.

    Targets are the second network's (authors: DINO ViT-B/16, values): which patches correlate above
    the cut, and which are foreground. The authors' foreground teacher is FOUND, a network of its
    own; here it is LOST's rule (Siméoni et al., BMVC 2021, arXiv:2109.14279, section 3.2): the
    patch with the fewest correlations lies on an object, and what correlates with it is foreground.

    Args:
        backbone: The CLIP; it is frozen here.
        teacher: The second network.
        settings: Of the method.
        side: Pictures are resized to this square, in pixels, rounded down to patches.
        classifier: A vocabulary to predict with; it takes no part in training.
    """

    name = NAME

    def __init__(
        self,
        backbone: CLIPBackbone,
        teacher: Provider,
        *,
        settings: DinoiserSettings | None = None,
        side: int = 448,
        classifier: TextClassifier | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings or DinoiserSettings()
        self.learned = DinoiserParts(backbone.vit.tower.width, self.settings)
        self.learned.to(backbone.device)
        backbone.eval().requires_grad_(False)
        self._outside = (backbone, teacher)  # a tuple, so that they are not the module's parts
        self.classifier = classifier
        patch = max(backbone.patch_size)
        self.side = max(1, side // patch) * patch

    @property
    def backbone(self) -> CLIPBackbone:
        """The frozen CLIP."""
        return self._outside[0]

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Named losses of a batch of pictures."""
        backbone, teacher = self._outside
        images = resized(backbone, (sample.image for sample in samples), (self.side, self.side))
        with torch.no_grad():
            trace = backbone.vit.trace(images)
            tokens = inner_tokens(backbone.vit, trace, self.settings.block)
            view = teacher.look(backbone.vit, trace)
            alike = cosine(fitted(view.as_map(view.values), trace.layout.grid)) > self.settings.cut
        found, foreground = self.learned(tokens)
        object_like = foreground_of(alike).view(foreground.shape)
        return {
            "loss_correlation": binary(found.clamp(min=0), alike),
            "loss_foreground": binary(foreground, object_like),
        }

    def predict(self, samples: Sequence[Sample]) -> list[SegmentationResult]:
        """Segment with what has been learned so far.

        Raises:
            InputError: If there is no vocabulary.
        """
        if self.classifier is None:
            raise InputError("training has no vocabulary to predict with: give it a classifier")
        method = CLIPDinoiser(self.learned, self.settings, "in training")
        return OpenVocabSegmentor(self.backbone, self.classifier, method=method).predict(samples)

    def describe(self) -> dict[str, object]:
        """Protocol card of the method in training."""
        return {
            **CLIPDinoiser(self.learned, self.settings, "in training").describe(),
            "teacher": self._outside[1].name,
            "side": self.side,
        }


def foreground_of(alike: Tensor) -> Tensor:
    """LOST's first step: what goes with the patch that goes with the fewest.

    Args:
        alike: (B, N, N) bool, patches that correlate.

    Returns:
        (B, N) bool.
    """
    seed = alike.sum(-1).argmin(-1)
    return alike[torch.arange(len(alike), device=alike.device), seed]


def binary(logits: Tensor, target: Tensor) -> Tensor:
    """Binary cross-entropy of logits against a bool tensor of their shape."""
    return F.binary_cross_entropy_with_logits(logits, target.to(logits.dtype))
