"""Training of inspectors with learned parts, on pictures with defect masks of other products."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.errors import InputError
from dense.methods.anomaly.learned import LearnedInspector, Truth
from dense.structures import AnomalyResult, Sample, Size


class InspectorTraining(nn.Module):
    """What the Runner trains: the learned parts alone are its weights, the backbone is not.

    The protocol of the field is "train on A, test on B": the pictures are of other products than
    those that will be inspected.

    Args:
        inspector: The method; its backbone is frozen here.
    """

    def __init__(self, inspector: LearnedInspector) -> None:
        super().__init__()
        inspector.backbone.eval().requires_grad_(False)
        self.inspector = inspector
        self.learned = inspector.learned

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        """Named losses of a batch of pictures with masks.

        Raises:
            InputError: If an anomalous picture has no mask.
        """
        backbone, size = self.inspector.backbone, self.inspector.input_size
        preprocess = backbone.preprocess
        images = backbone.to_batch(
            [preprocess.to_tensor(preprocess.resize(s.image, size)) for s in samples]
        )
        masks = torch.stack([defect_mask(sample, size) for sample in samples])
        labels = torch.tensor([is_anomalous(sample) for sample in samples]).long()
        truth = Truth(
            masks.to(images.device), labels.to(images.device), tuple(s.category for s in samples)
        )
        return self.inspector.losses(images, truth)

    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        """Score pictures with what has been learned so far."""
        return self.inspector.predict(samples)

    def describe(self) -> dict[str, object]:
        """Protocol card of the method in training."""
        return {**self.inspector.describe(), "learned": "in training"}


def is_anomalous(sample: Sample) -> bool:
    """By its label, or else by its mask."""
    if sample.label is not None:
        return bool(sample.label)
    return sample.mask is not None and bool(np.any(sample.mask))


def defect_mask(sample: Sample, size: Size) -> Tensor:
    """(h, w) bool at input size: where at least half of a pixel is defective.

    Raises:
        InputError: If an anomalous picture has no mask.
    """
    if sample.mask is None:
        if is_anomalous(sample):
            raise InputError(
                f"{sample.image_path or 'a picture'} is anomalous but has no mask: training needs "
                "one for every defect; leave the picture out or draw its mask"
            )
        return torch.zeros(size, dtype=torch.bool)
    mask = torch.from_numpy(np.ascontiguousarray(sample.mask, np.float32))[None, None]
    return F.interpolate(mask, size, mode="bilinear", antialias=True)[0, 0] > 0.5
