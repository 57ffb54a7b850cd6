"""The values that travel through the package; frozen and checked when they are made.

Sizes are (H, W). Boxes are xyxy. Axis letters: B images, R regions, W windows, N patches,
K classes, P prompts, M memory entries, C encoder width, D joint width, (H, W) original pixels,
(h, w) input pixels, (gh, gw) patch grid.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.errors import InputError

Size = tuple[int, int]


def _check_rank(owner: str, name: str, value: Tensor | NDArray[np.generic], rank: int) -> None:
    if value.ndim != rank:
        raise InputError(
            f"{owner}.{name} must have {rank} axes, got {value.ndim}: shape {tuple(value.shape)}"
        )


def _check_equal(owner: str, what: str, expected: object, actual: object) -> None:
    if expected != actual:
        raise InputError(f"{owner}: {what} must agree, expected {expected}, got {actual}")


@dataclass(frozen=True)
class Sample:
    """One picture on its way to the network.

    Attributes:
        image: (H, W, 3) uint8 RGB, original pixels.
        image_path: Where it came from, if from a file.
        mask: (H, W) class indices (segmentation) or bool (anomaly), original pixels.
        label: 0 normal, 1 anomalous.
        boxes: (R, 4) float32 xyxy, original pixels.
        box_labels: (R,) int64 class indices of the boxes.
        category: Product or data-set part the picture belongs to.
        inside: (H, W) bool, where to look, original pixels; everywhere if ``None``. Methods that
            can drop patches never compute the others; those that cannot look everywhere.
    """

    image: NDArray[np.uint8]
    image_path: Path | None = None
    mask: NDArray[np.generic] | None = None
    label: int | None = None
    boxes: NDArray[np.float32] | None = None
    box_labels: NDArray[np.int64] | None = None
    category: str = ""
    inside: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_rank("Sample", "image", self.image, 3)
        _check_equal("Sample", "image channels", 3, self.image.shape[2])
        if self.mask is not None:
            _check_equal("Sample", "mask size and image size", self.image_size, self.mask.shape[:2])
        if self.inside is not None:
            _check_equal("Sample", "inside and image size", self.image_size, self.inside.shape)
        if self.boxes is not None:
            _check_rank("Sample", "boxes", self.boxes, 2)
            _check_equal("Sample", "box columns", 4, self.boxes.shape[1])

    @property
    def image_size(self) -> Size:
        """(H, W) of the picture."""
        return self.image.shape[0], self.image.shape[1]


@dataclass(frozen=True)
class DenseFeatures:
    """What the image tower says of a batch.

    Attributes:
        class_token: (B, D) pooled image features in the joint space, not normalised.
        patch_tokens: (B, N, C) output of the last block at encoder width, not projected.
        dense: (B, D, gh, gw) patch features in the joint space, not normalised.
        intermediates: chosen block outputs, each (B, C, gh, gw).
    """

    class_token: Tensor
    patch_tokens: Tensor
    dense: Tensor
    intermediates: tuple[Tensor, ...] = ()

    def __post_init__(self) -> None:
        _check_rank("DenseFeatures", "class_token", self.class_token, 2)
        _check_rank("DenseFeatures", "patch_tokens", self.patch_tokens, 3)
        _check_rank("DenseFeatures", "dense", self.dense, 4)
        gh, gw = self.grid
        _check_equal("DenseFeatures", "patch count", gh * gw, self.patch_tokens.shape[1])

    @property
    def grid(self) -> Size:
        """(gh, gw) patches."""
        return self.dense.shape[2], self.dense.shape[3]


@dataclass(frozen=True)
class TextClassifier:
    """A vocabulary turned into zero-shot classifier weights.

    Attributes:
        weights: (P, D) unit rows, one per query phrase.
        class_names: K display names.
        class_index: (P,) the class of each row; ``None`` means one row a class in order.
        logit_scale: multiplier from cosine similarity to logits (about 100 for CLIP).
        background: index of the class that stands for "none of the others", if there is one.
        templates: name of the template set that made the weights, for protocol cards.
        vocabulary: digest of all phrases in order, for protocol cards: equal digests mean the
            same classes, synonyms and background words.
    """

    weights: Tensor
    class_names: tuple[str, ...]
    class_index: Tensor | None = None
    logit_scale: float = 100.0
    background: int | None = None
    templates: str = ""
    vocabulary: str = ""

    def __post_init__(self) -> None:
        _check_rank("TextClassifier", "weights", self.weights, 2)
        if self.class_index is None:
            _check_equal(
                "TextClassifier", "rows and classes", len(self.class_names), len(self.weights)
            )
        else:
            _check_equal(
                "TextClassifier", "rows and class_index", len(self.weights), len(self.class_index)
            )

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_names)

    def to(self, device: torch.device | str) -> TextClassifier:
        """Return the same classifier on another device."""
        index = None if self.class_index is None else self.class_index.to(device)
        return replace(self, weights=self.weights.to(device), class_index=index)


@dataclass(frozen=True)
class SegmentationResult:
    """A picture cut into classes.

    Attributes:
        class_map: (H, W) int64 class indices at original size, 255 where undecided
            (65535 with more than 255 classes).
        class_names: K display names.
        confidence: (H, W) float32 probability of the chosen class.
        scores: (K,) float32 share of the picture each class takes, summing to at most 1.
    """

    class_map: NDArray[np.int64]
    class_names: tuple[str, ...]
    confidence: NDArray[np.float32] | None = None
    scores: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))

    def __post_init__(self) -> None:
        _check_rank("SegmentationResult", "class_map", self.class_map, 2)
        if self.confidence is not None:
            _check_equal(
                "SegmentationResult",
                "confidence and class_map sizes",
                self.class_map.shape,
                self.confidence.shape,
            )


@dataclass(frozen=True)
class AnomalyResult:
    """How abnormal a picture is, and where.

    Attributes:
        anomaly_map: (H, W) float32 at original size, larger is more abnormal.
        score: image score, larger is more abnormal.
        mask: (H, W) bool after a threshold, ``None`` while no threshold exists.
        is_anomalous: decision after a threshold, ``None`` while no threshold exists.
    """

    anomaly_map: NDArray[np.float32]
    score: float
    mask: NDArray[np.bool_] | None = None
    is_anomalous: bool | None = None

    def __post_init__(self) -> None:
        _check_rank("AnomalyResult", "anomaly_map", self.anomaly_map, 2)
        if self.mask is not None:
            _check_equal(
                "AnomalyResult", "mask and map sizes", self.anomaly_map.shape, self.mask.shape
            )


@dataclass(frozen=True)
class DetectionResult:
    """Objects found in a picture.

    Attributes:
        boxes: (R, 4) float32 xyxy, original pixels.
        scores: (R,) float32 in [0, 1].
        labels: (R,) int64 class indices.
        class_names: K display names.
        masks: (R, H, W) bool, original pixels.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    masks: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        _check_rank("DetectionResult", "boxes", self.boxes, 2)
        _check_equal("DetectionResult", "box columns", 4, self.boxes.shape[1])
        _check_equal("DetectionResult", "boxes and scores", len(self.boxes), len(self.scores))
        _check_equal("DetectionResult", "boxes and labels", len(self.boxes), len(self.labels))
        if self.masks is not None:
            _check_equal("DetectionResult", "boxes and masks", len(self.boxes), len(self.masks))


@dataclass(frozen=True)
class PanopticResult:
    """A picture cut into segments.

    Attributes:
        segment_map: (H, W) int64 number of the segment of each pixel from 1, 0 for none.
        labels: (S,) int64 class of each segment.
        things: (S,) bool: countable ones, each segment an instance.
        scores: (S,) float32; 1 for stuff.
        class_names: K display names.
    """

    segment_map: NDArray[np.int64]
    labels: NDArray[np.int64]
    things: NDArray[np.bool_]
    scores: NDArray[np.float32]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_rank("PanopticResult", "segment_map", self.segment_map, 2)
        for name in ("things", "scores"):
            count = len(getattr(self, name))
            _check_equal("PanopticResult", f"labels and {name}", len(self.labels), count)


@dataclass(frozen=True)
class PanopticSegments:
    """The true segments of a picture, or all that a measure needs of found ones.

    Attributes:
        segment_map: (H, W) int64 number of each pixel's segment from 1, 0 for none (void).
        labels: (S,) int64 class of each segment.
        crowd: (S,) bool: groups that count neither as found nor as missed; none if ``None``.
    """

    segment_map: NDArray[np.int64]
    labels: NDArray[np.int64]
    crowd: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        top = int(self.segment_map.max(initial=0))
        if self.segment_map.ndim != 2 or top > len(self.labels) or self.segment_map.min() < 0:
            raise InputError(
                f"a segment map (H, W) must hold 0 to {len(self.labels)}, one number a label, got "
                f"shape {self.segment_map.shape} with {int(self.segment_map.min())} to {top}"
            )
        if self.crowd is not None and len(self.crowd) != len(self.labels):
            raise InputError(f"{len(self.labels)} segments need as many crowd flags")
