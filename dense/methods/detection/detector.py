"""Find and name objects by words: proposals, region scores, suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import fit_short_side
from dense.errors import InputError
from dense.heads.pixel import class_probabilities
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.detection.proposals import OwnBoxes, Proposals, Proposer
from dense.methods.detection.regions import box_masks, see_crops
from dense.methods.detection.scoring import candidates, class_nms, fuse
from dense.regions import pool_boxes, pool_masks, to_patches
from dense.structures import DetectionResult, Sample, TextClassifier

LONGEST_RATIO = 4
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
        if self.crops < 0 or self.limit < 1:
            raise InputError(
                f"crops must be 0 or more and limit 1 or more, got {self.crops} and {self.limit}"
            )


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
        proposer: Where objects may be.
        settings: See `DetectSettings`.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        proposer: Proposer = PatchGrouping(),  # noqa: B008  (frozen)
        settings: DetectSettings = DetectSettings(),
    ) -> None:
        self.backbone = backbone
        self.classifier = classifier
        self.proposer = proposer
        self.settings = settings
        names = enumerate(classifier.class_names)
        self.reported = torch.tensor([k for k, _ in names if k != classifier.background])
        self.class_names = tuple(classifier.class_names[k] for k in self.reported.tolist())

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[DetectionResult]:
        """Detect in pictures of any sizes, in order; boxes in original pixels.

        Raises:
            InputError: If a sample's own boxes are unusable.
        """
        return [self._detect(sample) for sample in samples]

    @torch.inference_mode()
    def propose(self, sample: Sample) -> Proposals:
        """The proposals of a picture, before any words."""
        return self.proposer(sample, self._features(sample)[1])

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        classifier = self.classifier
        return {
            "method": "regions",
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

    def _detect(self, sample: Sample) -> DetectionResult:
        dense, patches = self._features(sample)
        proposals = self.proposer(sample, patches)
        if not len(proposals):
            return self._result(sample, proposals, np.zeros(0, np.int64), patches)
        probabilities = self._name(self._pool(dense, proposals, sample))
        scores = probabilities * proposals.objectness[:, None] ** self.settings.objectness
        if self.settings.crops:
            best = scores.max(1).values.argsort(descending=True)[: self.settings.crops]
            margin = self.settings.margin
            seen = fuse(
                probabilities[best],
                self._name(see_crops(self.backbone, sample, proposals.boxes[best], margin)),
                self.settings.crop_share,
            )
            lifted = proposals.objectness[best, None] ** self.settings.objectness
            scores[best] = seen * lifted
        if proposals.given:
            top = scores.max(1)
            places = np.arange(len(proposals))
            return self._result(sample, proposals, places, patches, top.indices, top.values)
        found = candidates(scores, least=self.settings.least)
        boxes = proposals.boxes[found.place]
        settings = self.settings
        kept = class_nms(
            boxes, found.labels, found.scores, settings.overlap, inside=settings.inside
        )[: settings.limit]
        place = found.place[kept].numpy()
        return self._result(
            sample, proposals, place, patches, found.labels[kept], found.scores[kept]
        )

    def _pool(self, dense: Tensor, proposals: Proposals, sample: Sample) -> Tensor:
        if proposals.masks is not None:
            return pool_masks(dense, proposals.masks.to(dense.device))
        grid = (dense.shape[1], dense.shape[2])
        return pool_boxes(dense, to_patches(proposals.boxes, sample.image_size, grid).to(dense))

    def _name(self, pooled: Tensor) -> Tensor:
        """Probabilities (R, K') of the reported classes, on the CPU."""
        classifier = self.classifier
        similarity = F.normalize(pooled.float(), dim=-1) @ classifier.weights.float().T
        found = class_probabilities(similarity.T * classifier.logit_scale, classifier)
        return found.T.cpu()[:, self.reported]

    def _result(
        self,
        sample: Sample,
        proposals: Proposals,
        place: NDArray[np.int64],
        patches: Tensor,
        labels: Tensor | None = None,
        scores: Tensor | None = None,
    ) -> DetectionResult:
        masks = None
        if self.settings.masks:
            masks = box_masks(proposals, place.tolist(), patches, sample.image_size)
            place = place[: len(masks)]
        count = len(place)
        return DetectionResult(
            proposals.boxes[place].numpy().astype(np.float32),
            np.zeros(0, np.float32) if scores is None else scores[:count].numpy(),
            np.zeros(0, np.int64) if labels is None else labels[:count].numpy(),
            self.class_names,
            masks,
        )


def build(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
) -> OpenVocabDetector:
    """The catalogue's ``regions``: dense features alone unless `settings` says otherwise."""
    return OpenVocabDetector(
        backbone,
        classifier,
        proposer=proposer or PatchGrouping(),
        settings=settings or DetectSettings(),
    )


def build_boxes(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
) -> OpenVocabDetector:
    """The catalogue's ``boxes``: names for the boxes that samples carry."""
    return build(backbone, classifier, proposer=proposer or OwnBoxes(), settings=settings)


def build_crops(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    *,
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
) -> OpenVocabDetector:
    """The catalogue's ``regions-crops``: the best regions are also seen as crops."""
    return build(
        backbone, classifier, proposer=proposer, settings=settings or DetectSettings(crops=CROPS)
    )
