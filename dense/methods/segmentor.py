"""Open-vocabulary segmentation by a text classifier on dense features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock, last_block
from dense.backbones.preprocess import fit_short_side
from dense.errors import InputError
from dense.heads.pixel import centre, text_similarity
from dense.methods.batching import iter_batches
from dense.postprocess import segment_map
from dense.regions import sliding_starts
from dense.structures import Sample, SegmentationResult, Size, TextClassifier

LONGEST_RATIO = 4
"""The long side is at most this many short sides: bounds memory for extreme aspect ratios."""

MASKCLIP = last_block("value")


class OpenVocabSegmentor:
    """MaskCLIP and its family: each patch is classified by the words.

    With the default `block` this is MaskCLIP (Zhou, Loy and Dai, ECCV 2022, section 3.2): the
    value path of the last attention layer, residual and feed-forward kept, no mixing of patches.
    Other variants of `dense.backbones.attention` give its successors.

    Where it differs from the reference implementations: overlapping windows are averaged on the
    patch grid before the one resize to original size (theirs: after resizing each window), which
    needs far less memory and agrees away from window borders.

    Args:
        backbone: A loaded CLIP.
        classifier: The vocabulary, from `build_text_classifier`.
        block: How the last block makes dense features.
        short_side: Input short side in pixels (rounded to patches), aspect kept; ``None`` keeps
            the original resolution.
        crop: Side of square sliding windows in pixels; ``None`` sees the whole image at once.
        stride: Step of the windows in pixels; ``None`` is half the crop.
        threshold: Probability below which a pixel goes to the background.
        centring: Share of each window's mean feature to subtract (`dense.heads.pixel.centre`).
        batch_size: Images or windows that run at once.

    Raises:
        InputError: If crop and stride do not fit the patch.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        block: LastBlock = MASKCLIP,
        short_side: int | None = 448,
        crop: int | None = None,
        stride: int | None = None,
        threshold: float = 0.0,
        centring: float = 0.0,
        batch_size: int = 4,
    ) -> None:
        self.backbone = backbone
        self.classifier = classifier
        self.block = block
        self.short_side = short_side
        self.threshold = threshold
        self.centring = centring
        self.batch_size = batch_size
        patch = max(backbone.patch_size)
        self.crop = crop
        self.stride = stride or (crop // 2 // patch * patch if crop else None)
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
            for sample, similarity in zip(batch, self._windows(images), strict=True):
                size, threshold = sample.image_size, self.threshold
                results.append(segment_map(similarity, size, self.classifier, threshold=threshold))
        return results

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            "method": "segmentor",
            "model": self.backbone.name,
            "attention": _attention_name(self.block),
            "residual": self.block.residual,
            "feed_forward": self.block.feed_forward,
            "short_side": self.short_side,
            "crop": self.crop,
            "stride": self.stride,
            "logit_scale": round(self.classifier.logit_scale, 3),
            "threshold": self.threshold,
            "centring": self.centring,
            "classes": self.classifier.num_classes,
            "queries": len(self.classifier.weights),
            "precision": str(self.backbone.dtype).removeprefix("torch."),
        }

    def _input_size(self, size: Size) -> Size:
        patch = self.backbone.patch_size
        if self.short_side is None:
            return fit_short_side(size, min(size), patch)
        return fit_short_side(size, self.short_side, patch, self.short_side * LONGEST_RATIO)

    def _windows(self, images: Tensor) -> Tensor:
        """Average similarity of all windows. (B, 3, h, w) → (B, P, gh, gw)."""
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
        dense = centre(self.backbone.vit(images, self.block).dense, self.centring)
        return text_similarity(dense, self.classifier.weights)


def _attention_name(block: LastBlock) -> str:
    from dense.backbones.attention import ATTENTIONS

    names = [name for name, function in ATTENTIONS.items() if function is block.attention]
    return names[0] if names else getattr(block.attention, "__name__", "custom")
