"""Zero-shot classification of given regions: boxes, masks of things, masks of stuff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, LastBlock
from dense.datasets.regions import RegionTruth
from dense.errors import InputError
from dense.heads.pixel import class_probabilities
from dense.methods.batching import dense_features
from dense.metrics.naming import naming_scores
from dense.regions import pool_boxes, pool_masks, to_patches
from dense.structures import Sample, TextClassifier


@dataclass
class _Tally:
    """What was found in regions of one kind: labels, the five best classes, how sure the first."""

    labels: list[NDArray[np.int64]] = field(default_factory=list)
    best: list[NDArray[np.int64]] = field(default_factory=list)
    sure: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, labels: NDArray[np.int64], probabilities: Tensor) -> None:
        """Add regions. probabilities (R, K)."""
        best = probabilities.topk(min(5, probabilities.shape[1]), dim=-1)
        self.labels.append(labels)
        self.best.append(best.indices.cpu().numpy())
        self.sure.append(best.values[:, 0].cpu().numpy())

    def scores(self) -> dict[str, float]:
        """Over regions and as means over the classes that occur, in percent."""
        return naming_scores(
            np.concatenate(self.labels), np.concatenate(self.best), np.concatenate(self.sure)
        )


@torch.inference_mode()
def region_accuracy(
    backbone: CLIPBackbone,
    samples: Iterable[Sample],
    classifier: TextClassifier,
    block: LastBlock,
    *,
    short_side: int = 448,
) -> dict[str, dict[str, float]]:
    """Dense features pooled in given regions against the class names.

    The protocol of CLIPSelf (Wu et al. 2024, table 2) on any data: boxes of things by RoIAlign,
    masks of things and of stuff by their share of each patch; accuracies are means over classes.
    Theirs squashes the picture to a square; ours keeps its shape.

    Args:
        backbone: The CLIP.
        samples: Pictures with boxes and labels; masks as well for `RegionTruth`. Boxes of plain
            samples count as things.
        classifier: The class names.
        block: How the last block makes dense features.
        short_side: Input short side in pixels.

    Returns:
        For each of ``"boxes"``, ``"things"`` and ``"stuff"`` that occurs: `top1`, `top5`,
        `mean_top1`, `mean_top5`, `ece` in percent, and `count`.

    Raises:
        InputError: If there is no region at all.
    """
    tallies: dict[str, _Tally] = {}
    for sample in samples:
        if sample.boxes is None or sample.box_labels is None or not len(sample.boxes):
            continue
        dense = dense_features(backbone, sample.image, block, short_side)
        for kind, labels, pooled in _pooled(sample, dense):
            tallies.setdefault(kind, _Tally()).add(labels, region_scores(pooled, classifier))
    if not tallies:
        raise InputError("no boxes to classify: expected samples with boxes and labels")
    return {kind: tally.scores() for kind, tally in tallies.items()}


def _pooled(sample: Sample, dense: Tensor) -> Iterator[tuple[str, NDArray[np.int64], Tensor]]:
    """Kind, labels (R,) and features (R, D) of a picture's regions, where there are some."""
    if sample.boxes is None or sample.box_labels is None:
        return
    masks = sample.masks if isinstance(sample, RegionTruth) else None
    things = sample.things if isinstance(sample, RegionTruth) else None
    things = np.ones(len(sample.boxes), bool) if things is None else things
    if things.any():
        grid = (dense.shape[1], dense.shape[2])
        boxes = to_patches(torch.from_numpy(sample.boxes[things]), sample.image_size, grid)
        yield "boxes", sample.box_labels[things], pool_boxes(dense, boxes.to(dense.device))
    for kind, rows in (("things", things), ("stuff", ~things)):
        if masks is not None and rows.any():
            some = torch.from_numpy(masks[rows]).to(dense.device)
            yield kind, sample.box_labels[rows], pool_masks(dense, some)


def region_scores(pooled: Tensor, classifier: TextClassifier) -> Tensor:
    """Class probabilities (R, K) of pooled features (R, D) of any length."""
    similarity = F.normalize(pooled.float(), dim=-1) @ classifier.weights.float().T
    return class_probabilities(similarity.T * classifier.logit_scale, classifier).T
