"""Find and name objects by words: proposals, region scores, suppression."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import fit_short_side
from dense.errors import InputError
from dense.methods.batching import LONGEST_RATIO
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.detection.proposals import OwnBoxes, Proposals, Proposer
from dense.methods.detection.regions import as_result, see_crops
from dense.methods.detection.scoring import (
    Candidates,
    candidates,
    class_nms,
    fuse,
    region_scores,
)
from dense.regions import pool_boxes, pool_masks, to_patches
from dense.structures import DetectionResult, Sample, TextClassifier

CROPS = 100
"""Regions that the method ``regions-crops`` also sees as crops."""


@dataclass(frozen=True)
class DetectSettings:
    """How regions are scored; nothing here was chosen on test data.

    Attributes:
        short_side: Input short side in pixels; the checkpoint's advice if ``None``.
        crops: How many of the best regions are also cut out and seen alone; 0: none.
        crop_share: Weight of the crops in the geometric mean of both probabilities.
        margin: Of a crop on each side, as a share of the box.
        objectness: Exponent of the proposal's objectness in the score.
        least: Detections below this score are left out.
        overlap: Intersection over union above which the weaker of one class goes.
        inside: The weaker of one class also goes if more than this share of it lies in the other:
            a part of a thing is not that thing again. 1 (the benchmarks' way) keeps it.
        limit: Most detections of a picture.
        masks: Give masks, too.
        layer: Block output whose patches are grouped into proposals.
    """

    short_side: int | None = None
    crops: int = 0
    crop_share: float = 0.5
    margin: float = 0.1
    objectness: float = 0.5
    least: float = 0.02
    overlap: float = 0.5
    inside: float = 1.0
    limit: int = 100
    masks: bool = False
    layer: int = -2

    def __post_init__(self) -> None:
        for name in ("crop_share", "least", "overlap", "inside"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InputError(f"{name} must lie in [0, 1], got {value:g}")
        for name in ("margin", "objectness"):
            if not 0 <= getattr(self, name) < math.inf:
                raise InputError(f"{name} must be 0 or more, got {getattr(self, name):g}")
        if self.crops < 0 or self.limit < 1:
            raise InputError(
                f"crops must be 0 or more and limit 1 or more, got {self.crops} and {self.limit}"
            )

    def pick(self, boxes: Tensor, scores: Tensor) -> Candidates:
        """What is reported of boxes (R, 4) xyxy with scores (R, K): the best pairs by class."""
        found = candidates(scores, least=self.least)
        chosen = boxes[found.place]
        kept = class_nms(chosen, found.labels, found.scores, self.overlap, inside=self.inside)
        return found[kept[: self.limit]]


TO_LOOK_AT = DetectSettings(least=0.1, inside=0.7, limit=25)
"""For people, not for average precision, which wants weak detections, too (COCO: 100 a picture).

A floor of 0.1 is what OWL-ViT's pipeline shows; proposals of all scales make parts of a thing
likelier than neighbours of its kind, so parts go."""


class OpenVocabDetector:
    """Regions named by words, on the dense features of any CLIP.

    Dense features are pooled under each proposal's mask, or in its box by RoIAlign, and compared
    with the words; the best regions may be seen as crops as well (geometric mean, as F-ViT's and
    F-VLM's fusion of two scores). The vocabulary's background words take probability away from
    everything that is no object; they are never reported.

    Args:
        backbone: A loaded CLIP.
        classifier: The vocabulary, with background words if there are any.
        proposer: Where objects may be; `PatchGrouping` if ``None``.
        settings: See `DetectSettings`; its defaults if ``None``.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        proposer: Proposer | None = None,
        settings: DetectSettings | None = None,
    ) -> None:
        self.backbone = backbone
        self.classifier = classifier
        self.proposer = proposer or PatchGrouping()
        self.settings = settings or DetectSettings()
        names = enumerate(classifier.class_names)
        self.reported = torch.tensor([k for k, _ in names if k != classifier.background])
        self.class_names = tuple(classifier.class_names[k] for k in self.reported.tolist())

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[DetectionResult]:
        """Detect in pictures of any sizes, in order; boxes in original pixels.

        Raises:
            InputError: If a sample's own boxes are unusable.
        """
        return [self.detect(sample)[0] for sample in samples]

    @torch.inference_mode()
    def detect(self, sample: Sample) -> tuple[DetectionResult, Proposals]:
        """Detect in one picture; also the proposals that were looked at, before any words."""
        dense, patches = self._features(sample)
        proposals = self.proposer(sample, patches)
        scores, settings = self._score(sample, dense, proposals), self.settings
        if proposals.given:
            best = scores.max(1)
            found = Candidates(torch.arange(len(proposals)), best.indices, best.values)
        else:
            found = settings.pick(proposals.boxes, scores)
        cut, size = patches if settings.masks else None, sample.image_size
        return as_result(proposals, found, self.class_names, patches=cut, size=size), proposals

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        classifier = self.classifier
        named = "boxes" if isinstance(self.proposer, OwnBoxes) else "regions"
        return {
            "method": "regions-crops" if self.settings.crops else named,
            "model": self.backbone.name,
            **self.proposer.describe(),
            **asdict(self.settings),
            "short_side": self._short_side,
            "logit_scale": round(classifier.logit_scale, 3),
            "classes": len(self.class_names),
            "background": classifier.background is not None,
            "templates": classifier.templates,
            "vocabulary": classifier.vocabulary,
        }

    @property
    def _short_side(self) -> int:
        return self.settings.short_side or self.backbone.recommended.short_side

    def _features(self, sample: Sample) -> tuple[Tensor, Tensor]:
        """Dense features (D, gh, gw) and the patches to group (C, gh, gw)."""
        backbone, side = self.backbone, self._short_side
        patch, longest = backbone.patch_size, LONGEST_RATIO * side
        size = fit_short_side(sample.image_size, side, patch, longest)
        preprocess = backbone.preprocess
        batch = backbone.to_batch([preprocess.to_tensor(preprocess.resize(sample.image, size))])
        layer = max(self.settings.layer, -backbone.vit.num_blocks)
        found = backbone.vit(batch, backbone.recommended.block, intermediates=(layer,))
        return found.dense[0].float(), found.intermediates[0][0].float()

    def _score(self, sample: Sample, dense: Tensor, proposals: Proposals) -> Tensor:
        """Scores (R, K') of the reported classes, the best regions seen as crops, too."""
        settings = self.settings
        probabilities = self._name(self._pool(dense, proposals, sample))
        lift = proposals.objectness[:, None] ** settings.objectness
        if settings.crops:
            order = (probabilities * lift).max(1).values.argsort(descending=True)
            best = order[: settings.crops]
            crops = see_crops(self.backbone, sample, proposals.boxes[best], settings.margin)
            probabilities[best] = fuse(probabilities[best], self._name(crops), settings.crop_share)
        return probabilities * lift

    def _pool(self, dense: Tensor, proposals: Proposals, sample: Sample) -> Tensor:
        if proposals.masks is not None:
            return pool_masks(dense, proposals.masks.to(dense.device))
        grid = (dense.shape[1], dense.shape[2])
        return pool_boxes(dense, to_patches(proposals.boxes, sample.image_size, grid).to(dense))

    def _name(self, pooled: Tensor) -> Tensor:
        """Probabilities (R, K') of the reported classes, on the CPU."""
        return region_scores(pooled, self.classifier).cpu()[:, self.reported]


def build_boxes(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
) -> OpenVocabDetector:
    """The catalogue's ``boxes``: names for the boxes that samples carry."""
    proposer = proposer or OwnBoxes()
    return OpenVocabDetector(backbone, classifier, proposer=proposer, settings=settings)


def build_crops(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
) -> OpenVocabDetector:
    """The catalogue's ``regions-crops``: the best regions are also seen as crops."""
    settings = settings or DetectSettings(crops=CROPS)
    return OpenVocabDetector(backbone, classifier, proposer=proposer, settings=settings)
