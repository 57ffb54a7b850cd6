"""Open-vocabulary segmentation by a text classifier on dense features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import fit_short_side
from dense.errors import InputError
from dense.methods.batching import iter_batches
from dense.methods.catalog import find_method
from dense.methods.segmentation.base import LastBlockMethod, PatchMethod, Setting, builder
from dense.methods.segmentation.maskclip import MaskCLIP
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.postprocess import refine_scores, segment_map
from dense.refine import find_refiners
from dense.regions import sliding_starts
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
        for batch, images in iter_batches(
            self.backbone, samples, self._input_size, self.batch_size
        ):
            size: Size = (images.shape[-2], images.shape[-1])
            for sample, scores in zip(batch, self._windows(images), strict=True):
                results.append(self._decide(sample, scores, size))
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
            "refine": list(protocol.refine),
            "background": classifier.background is not None,
            "classes": classifier.num_classes,
            "queries": len(classifier.weights),
            "templates": classifier.templates,
            "vocabulary": classifier.vocabulary,
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def _decide(self, sample: Sample, scores: Tensor, size: Size) -> SegmentationResult:
        """(P, gh, gw) scores of one picture → its result at original size."""
        if self._steps:
            scores = refine_scores(scores, size, self.classifier, sample.image, self._steps)
        return segment_map(
            scores,
            sample.image_size,
            self.classifier,
            threshold=self.protocol.threshold,
            probabilities=bool(self._steps),
        )

    def _input_size(self, size: Size) -> Size:
        patch, side = self.backbone.patch_size, self.protocol.short_side
        if side is None:
            return fit_short_side(size, min(size), patch)
        return fit_short_side(size, side, patch, side * LONGEST_RATIO)

    def _windows(self, images: Tensor) -> Tensor:
        """Average score of all windows. (B, 3, h, w) → (B, P, gh, gw)."""
        h, w = images.shape[-2:]
        if self.crop is None or max(h, w) <= self.crop or self.stride is None:
            return self._classify(images)
        crop = (min(self.crop, h), min(self.crop, w))
        corners = [
            (y, x)
            for y in sliding_starts(h, crop[0], self.stride)
            for x in sliding_starts(w, crop[1], self.stride)
        ]
        ph, pw = self.backbone.patch_size
        weights = self.classifier.weights
        total = images.new_zeros((len(images), len(weights), h // ph, w // pw), dtype=torch.float32)
        count = torch.zeros_like(total[:1, :1])
        for start in range(0, len(corners), self.batch_size):
            chosen = corners[start : start + self.batch_size]
            batch = torch.cat([images[:, :, y : y + crop[0], x : x + crop[1]] for y, x in chosen])
            parts = self._classify(batch).split(len(images))
            for (y, x), part in zip(chosen, parts, strict=True):
                rows = slice(y // ph, (y + crop[0]) // ph)
                columns = slice(x // pw, (x + crop[1]) // pw)
                total[..., rows, columns] += part
                count[..., rows, columns] += 1
        return total / count

    def _classify(self, images: Tensor) -> Tensor:
        vit = self.backbone.vit
        return self.method.similarity(vit, vit.trace(images), self.classifier)


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
    if name is None:
        advice = backbone.recommended
        build = builder(partial(LastBlockMethod, advice.block, advice.centring, "recommended"))
    else:
        build = find_method(name, "segment").builder()
    return build(backbone, classifier, protocol=protocol, batch_size=batch_size, **(settings or {}))
