"""What the gates compare a picture with: features and thumbnails of the support, as one file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.inspection.decision import Reason
from dense.inspection.quality import (
    ALL_OVER,
    FEWEST_KNOWN,
    SPREAD_OUT,
    THUMB,
    Gates,
    check_quality,
    fit_gates,
    measure,
    shift,
    thumbnail,
)
from dense.methods.reject.base import Foreignness
from dense.methods.reject.mahalanobis import MahalanobisRejector

Image = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Traits:
    """Of the support pictures.

    Attributes:
        features: (n, D) unit features of whole pictures.
        thumbs: (n, THUMB, THUMB) uint8.
        backbone: Whose features they are.
    """

    features: Tensor
    thumbs: NDArray[np.uint8]
    backbone: CLIPBackbone

    @classmethod
    def of(cls, images: Sequence[Image], features: Tensor, backbone: CLIPBackbone) -> Traits:
        """Of support pictures (H, W, 3) and their features (n, D)."""
        return cls(features, np.stack([thumbnail(image) for image in images]), backbone)

    @classmethod
    def from_bytes(cls, data: bytes, backbone: CLIPBackbone) -> Traits:
        """The reverse of `to_bytes`.

        Raises:
            InputError: If it is no such file.
        """
        try:
            parts = load(data)
            features, thumbs = parts["features"], parts["thumbs"].numpy()
        except (SafetensorError, KeyError, ValueError) as error:
            raise InputError(f"the file with a product's traits is broken: {error}") from error
        sound = features.ndim == 2 and thumbs.dtype == np.uint8
        if not sound or thumbs.shape != (len(features), THUMB, THUMB):
            raise InputError("the file with a product's traits is broken: its parts disagree")
        return cls(features, thumbs, backbone)

    def to_bytes(self) -> bytes:
        """As safetensors."""
        thumbs = torch.from_numpy(self.thumbs)
        return save({"features": self.features.contiguous(), "thumbs": thumbs})

    def gates(self, images: Sequence[Image]) -> Gates:
        """Limits, from the support pictures (H, W, 3) themselves."""
        known = len(self.features) >= FEWEST_KNOWN and self._differ
        foreign: list[float] = []
        if known:
            foreign = self._rejector.hold_out(self.features, self._labels).tolist()
        return fit_gates([measure(image) for image in images], list(self.thumbs), foreign)

    def before(self, image: Image, gates: Gates) -> list[Reason]:
        """Why a picture (H, W, 3) cannot be judged, before the model has seen it."""
        moved = None
        if gates.shift is not None:
            moved = shift(thumbnail(image), list(self.thumbs))
        return check_quality(measure(image), gates, moved=moved)

    def foreign(self, feature: Tensor, gates: Gates, abnormal: float) -> list[Reason]:
        """Whether a picture above its threshold shows another product rather than a defect.

        It does if most of it is abnormal, or a good part of it and its feature is foreign as well.
        A foreign feature alone is not enough: with a handful of pictures to learn from, a large
        stain moves the feature of the whole picture about as far as another product does.

        Args:
            feature: (D,) of the picture.
            gates: Of the product.
            abnormal: Share of what is looked at that is above the threshold of pixels.
        """
        far = False
        if gates.foreign is not None and abnormal > SPREAD_OUT:
            far = float(self._foreignness(feature[None])[0]) > gates.foreign
        if not far and abnormal <= ALL_OVER:
            return []
        also = " and the picture as a whole is foreign" if far else ""
        return [Reason("foreign", f"not this product: {abnormal:.0%} of it is abnormal{also}")]

    def distance(self, feature: Tensor) -> float:
        """Cosine distance of a feature (D,) to the nearest of the support's, in [0, 2]."""
        return max(0.0, 1 - float((self.features.double() @ feature.double()).max()))

    def left_out_distances(self) -> list[float]:
        """The same of each support picture to the others; none for a single one."""
        count = len(self.features)
        others = [[place for place in range(count) if place != left] for left in range(count)]
        return [
            max(0.0, 1 - float((self.features[rest].double() @ self.features[left].double()).max()))
            for left, rest in enumerate(others)
            if rest
        ]

    @property
    def _differ(self) -> bool:
        """Whether any picture can be held out and the others still differ."""
        rows = torch.unique((self.features * 1e4).round(), dim=0)
        return len(rows) >= FEWEST_KNOWN

    @cached_property
    def _rejector(self) -> MahalanobisRejector:
        return MahalanobisRejector(self.backbone)

    @cached_property
    def _foreignness(self) -> Foreignness:
        return self._rejector.learn(self.features, self._labels)

    @property
    def _labels(self) -> Tensor:
        return torch.zeros(len(self.features), dtype=torch.int64)
