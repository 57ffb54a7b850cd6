"""Methods whose predictions are known, for the Runner."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dataset import DefaultSampler
from torch import Tensor, nn
from torch.utils.data import DataLoader

from dense.engine.data import IndexedSamples, SampleSource, collate
from dense.structures import AnomalyResult, Sample, SegmentationResult


class ConstantSegmentor:
    """Gives every pixel one class; the lower half of the picture stays undecided if asked."""

    def __init__(self, classes: Sequence[str], choice: int = 0, undecided: bool = False) -> None:
        self.classes = tuple(classes)
        self.choice = choice
        self.undecided = undecided

    def predict(self, samples: Sequence[Sample]) -> list[SegmentationResult]:
        results = []
        for sample in samples:
            class_map = np.full(sample.image_size, self.choice, np.int64)
            if self.undecided:
                class_map[sample.image_size[0] // 2 :] = 255
            results.append(SegmentationResult(class_map, self.classes))
        return results

    def describe(self) -> dict[str, object]:
        return {"method": "constant", "choice": self.choice}


class QuarterInspector:
    """Map 1 in the top left quarter, 0 elsewhere; score from the file's number; records `fit`."""

    def __init__(self) -> None:
        self.support: list[Sample] = []

    def fit(self, support: Sequence[Sample]) -> None:
        self.support = list(support)

    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        results = []
        for sample in samples:
            height, width = sample.image_size
            anomaly_map = np.zeros((height, width), np.float32)
            anomaly_map[: height // 2, : width // 2] = 1
            number = int(sample.image_path.stem) if sample.image_path else 0
            results.append(AnomalyResult(anomaly_map, number + (sample.label or 0)))
        return results

    def describe(self) -> dict[str, object]:
        return {"shots": len(self.support)}


class Regressor(nn.Module):
    """Learns the mean colour of the pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.colour = nn.Parameter(torch.zeros(3))

    def loss(self, samples: Sequence[Sample]) -> dict[str, Tensor]:
        means = [torch.from_numpy(s.image.reshape(-1, 3).mean(0) / 255.0) for s in samples]
        target = torch.stack(means).float().mean(0)
        return {"loss_colour": (self.colour - target).square().sum(), "target": target.mean()}

    def predict(self, samples: Sequence[Sample]) -> list[SegmentationResult]:
        return ConstantSegmentor(("cat", "wooden table")).predict(samples)


def padded_loader(dataset: SampleSource) -> DataLoader:
    """Deals some samples twice when processes do not divide their number, as MMEngine does."""
    indexed = IndexedSamples(dataset)
    sampler = DefaultSampler(indexed, shuffle=False, seed=0)
    return DataLoader(indexed, batch_size=2, sampler=sampler, collate_fn=collate)
