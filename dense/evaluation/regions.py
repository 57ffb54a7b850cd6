"""Zero-shot classification of given regions: boxes, masks of things, masks of stuff."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones import CLIPBackbone, LastBlock
from dense.datasets.regions import RegionTruth
from dense.errors import InputError
from dense.methods.batching import dense_features
from dense.methods.detection.scoring import region_scores
from dense.metrics.naming import naming_scores
from dense.regions import pool_boxes, pool_masks, to_patches
from dense.structures import Sample, TextClassifier

Rows = dict[str, NDArray[np.generic]]
"""Of regions of one kind: `labels` (R,), five `best` classes (R, 5), how `sure` the first is."""


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
    rows = (region_rows(backbone, s, classifier, block, short_side=short_side) for s in samples)
    return region_scores_of(rows)


@torch.inference_mode()
def region_rows(
    backbone: CLIPBackbone,
    sample: Sample,
    classifier: TextClassifier,
    block: LastBlock,
    *,
    short_side: int,
) -> dict[str, Rows]:
    """What counts of one picture, for each kind of region that it has; see `region_accuracy`."""
    if sample.boxes is None or sample.box_labels is None or not len(sample.boxes):
        return {}
    dense = dense_features(backbone, sample.image, block, short_side)
    found: dict[str, Rows] = {}
    for kind, labels, pooled in _pooled(sample, dense):
        probabilities = region_scores(pooled, classifier)
        best = probabilities.topk(min(5, probabilities.shape[1]), dim=-1)
        sure, names = best.values[:, 0].cpu().numpy(), best.indices.cpu().numpy()
        found[kind] = {"labels": labels, "best": names, "sure": sure}
    return found


def region_scores_of(pictures: Iterable[dict[str, Rows]]) -> dict[str, dict[str, float]]:
    """`naming_scores` of each kind of region over the rows of all pictures.

    Raises:
        InputError: If there is no region at all.
    """
    parts: dict[str, list[Rows]] = {}
    for picture in pictures:
        for kind, rows in picture.items():
            parts.setdefault(kind, []).append(rows)
    if not parts:
        raise InputError("no boxes to classify: expected samples with boxes and labels")
    return {
        kind: naming_scores(
            *(np.concatenate([rows[key] for rows in some]) for key in ("labels", "best", "sure"))
        )
        for kind, some in parts.items()
    }


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
