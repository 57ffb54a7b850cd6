"""Open-vocabulary segmentation by a text classifier on dense features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import fit_short_side
from dense.backbones.trace import Trace
from dense.errors import InputError
from dense.heads.pixel import class_probabilities
from dense.methods.batching import iter_batches
from dense.methods.catalog import find_method
from dense.methods.segmentation.base import LastBlockMethod, PatchMethod, Setting, builder
from dense.methods.segmentation.maskclip import MaskCLIP
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.methods.segmentation.windows import WindowMean, WindowPlan, plan_windows
from dense.postprocess import refine_scores, segment_map
from dense.refine import find_refiners
from dense.refine.cutters import cutter_label
from dense.structures import Sample, SegmentationResult, Size, TextClassifier

LONGEST_RATIO = 4
"""The long side is at most this many short sides: bounds memory for extreme aspect ratios."""


class OpenVocabSegmentor:
    """Each patch is classified by words: any method of the family, run by any protocol.

    Where it differs from the reference implementations: overlapping windows are averaged on the
    patch grid before the one resize to original size (theirs: after resizing each window), which
    needs far less memory and agrees away from window borders.

    Args:
        backbone: A loaded CLIP.
        classifier: The vocabulary, from `build_text_classifier`.
        method: How patches are scored; MaskCLIP by default.
        protocol: Input size, windows, scale, decision and post-processing.
        batch_size: Images or windows that run at once.

    Raises:
        InputError: If crop and stride do not fit the patch, or a post-processing step is unknown.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        method: PatchMethod = MaskCLIP(),  # noqa: B008  (frozen)
        protocol: SegmentProtocol = WHOLE,
        batch_size: int = 4,
    ) -> None:
        scale = protocol.logit_scale
        self.backbone = backbone
        self.classifier = classifier if scale is None else replace(classifier, logit_scale=scale)
        self.method = method
        self.protocol = protocol
        self.batch_size = batch_size
        self._steps = find_refiners(protocol.refine)
        patch = max(backbone.patch_size)
        self.crop = protocol.crop
        half = self.crop // 2 // patch * patch if self.crop else None
        self.stride = protocol.stride or half
        for name, value in (("crop", self.crop), ("stride", self.stride)):
            if value is not None and (value < patch or value % patch):
                raise InputError(f"{name} must be a positive multiple of {patch}, got {value}")

    @torch.inference_mode()
    def predict(self, samples: Sequence[Sample]) -> list[SegmentationResult]:
        """Segment pictures of any sizes; results come at original size, in order."""
        results = []
        for batch, images in iter_batches(self.backbone, samples, self.input_size, self.batch_size):
            size: Size = (images.shape[-2], images.shape[-1])
            for sample, scores in zip(batch, self._scores(images), strict=True):
                results.append(self.decide(sample, scores, size))
        return results

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        protocol, classifier = self.protocol, self.classifier
        return {
            **self.method.describe(),
            "model": self.backbone.name,
            "protocol": protocol.name,
            "short_side": protocol.short_side,
            "crop": self.crop,
            "stride": self.stride,
            "logit_scale": round(classifier.logit_scale, 3),
            "threshold": protocol.threshold,
            "refine": [cutter_label(name) for name in protocol.refine],
            "background": classifier.background is not None,
            "classes": classifier.num_classes,
            "queries": len(classifier.weights),
            "templates": classifier.templates,
            "vocabulary": classifier.vocabulary,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def input_size(self, size: Size) -> Size:
        """(H, W) of a picture → (h, w) at which it runs, multiples of the patch."""
        patch, side = self.backbone.patch_size, self.protocol.short_side
        if side is None:
            return fit_short_side(size, min(size), patch)
        return fit_short_side(size, side, patch, side * LONGEST_RATIO)

    def windows(self, size: Size) -> WindowPlan:
        """Where the windows of an input of (h, w) pixels lie."""
        return plan_windows(size, self.backbone.patch_size, self.crop, self.stride)

    def score(self, trace: Trace) -> Tensor:
        """Score (B, P, gh, gw) of each query on each patch of traced windows."""
        return self.method.similarity(self.backbone.vit, trace, self.classifier)

    def refine(self, sample: Sample, scores: Tensor, size: Size) -> tuple[Tensor, bool]:
        """Run the post-processing steps on the (P, gh, gw) scores of one picture.

        Returns:
            The scores as they are and ``False`` if there are no steps, else (K, h, w) class
            probabilities and ``True``.
        """
        if not self._steps:
            return scores, False
        return refine_scores(scores, size, self.classifier, sample.image, self._steps), True

    def decide(self, sample: Sample, scores: Tensor, size: Size) -> SegmentationResult:
        """(P, gh, gw) scores of one picture → its result at original size."""
        return self.finish(sample, *self.refine(sample, scores, size))

    def finish(self, sample: Sample, scores: Tensor, probabilities: bool) -> SegmentationResult:
        """What `refine` gave → a class for every original pixel."""
        return segment_map(
            scores,
            sample.image_size,
            self.classifier,
            threshold=self.protocol.threshold,
            probabilities=probabilities,
        )

    @torch.inference_mode()
    def probabilities(self, sample: Sample) -> Tensor:
        """Class probabilities of one picture: (K, gh, gw), or (K, h, w) if refined."""
        ((_, images),) = iter_batches(self.backbone, [sample], self.input_size, 1)
        size: Size = (images.shape[-2], images.shape[-1])
        scores, refined = self.refine(sample, self._scores(images)[0], size)
        if refined:
            return scores
        return class_probabilities(scores * self.classifier.logit_scale, self.classifier)

    def _scores(self, images: Tensor) -> Tensor:
        """Mean score of all windows. (B, 3, h, w) → (B, P, gh, gw)."""
        plan = self.windows((images.shape[-2], images.shape[-1]))
        mean = WindowMean(plan, len(images))
        for corners, windows in plan.batches(images, self.batch_size):
            mean.add(corners, self.score(self.backbone.vit.trace(windows)))
        return mean.scores()


def advised_protocol(backbone: CLIPBackbone, protocol: SegmentProtocol = WHOLE) -> SegmentProtocol:
    """The default protocol at the short side that the checkpoint recommends; others as they are."""
    if protocol != WHOLE:
        return protocol
    return replace(protocol, short_side=backbone.recommended.short_side)


def build_segmentor(
    backbone: CLIPBackbone,
    classifier: TextClassifier,
    name: str | None = None,
    *,
    protocol: SegmentProtocol = WHOLE,
    batch_size: int = 4,
    settings: Mapping[str, Setting] | None = None,
) -> OpenVocabSegmentor:
    """A segmentor by the name of its method.

    Args:
        backbone: A loaded CLIP.
        classifier: The vocabulary.
        name: A "segment" method of `dense.methods.catalog`; ``None`` is the last block that the
            checkpoint recommends for itself.
        protocol: How it is run.
        batch_size: Images or windows that run at once.
        settings: The method's own settings.

    Raises:
        InputError: If the method or one of its settings is unknown.
    """
    build = build_recommended if name is None else find_method(name, "segment").builder()
    return build(backbone, classifier, protocol=protocol, batch_size=batch_size, **(settings or {}))


def build_recommended(
    backbone: CLIPBackbone, classifier: TextClassifier, **options: Any
) -> OpenVocabSegmentor:
    """The last block that the checkpoint recommends; a build function like the catalogue's."""
    advice = backbone.recommended
    make = partial(LastBlockMethod, advice.block, advice.centring, "recommended")
    return builder(make)(backbone, classifier, **options)
