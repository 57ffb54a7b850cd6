"""Lookers measured: regions named, by the size of the object; phrases found."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dense.datasets.referring import ReferringSample
from dense.errors import InputError
from dense.methods.looking.answers import Grounded, RegionNames
from dense.metrics.naming import naming_by_size
from dense.metrics.referring import grounding_scores, mask_overlap, paired_iou, referring_scores
from dense.structures import Sample

Rows = dict[str, NDArray[np.generic]]


def naming_rows(sample: Sample, result: RegionNames) -> Rows:
    """What counts of one picture: `labels`, five `best` classes, how `sure`, `areas` of boxes.

    Raises:
        InputError: If the sample has no labels, or another number of regions than the result.
    """
    if sample.boxes is None or sample.box_labels is None:
        raise InputError("naming is measured on boxes with labels, and a sample has none")
    if len(result.probabilities) != len(sample.box_labels):
        raise InputError(
            f"every box needs one answer, got {len(result.probabilities)} for "
            f"{len(sample.box_labels)} boxes"
        )
    best = np.argsort(-result.probabilities, axis=1, kind="stable")[:, :5]
    sides = sample.boxes[:, 2:] - sample.boxes[:, :2]
    return {
        "labels": np.asarray(sample.box_labels),
        "best": best,
        "sure": result.probabilities.max(1, initial=0),
        "areas": sides.prod(1),
    }


def naming_scores_of(rows: Iterable[Rows]) -> dict[str, float]:
    """`naming_by_size` over the rows of all pictures.

    Raises:
        InputError: If there is no box at all.
    """
    parts = [row for row in rows if len(row["labels"])]
    if not parts:
        raise InputError("no boxes to name: expected pictures with labelled boxes")
    labels, best, sure, areas = (
        np.concatenate([part[key] for part in parts]) for key in ("labels", "best", "sure", "areas")
    )
    return naming_by_size(labels, best, sure, areas)


def grounding_rows(sample: Sample, result: Grounded) -> Rows:
    """What counts of one picture: `ious` of boxes; `shared` and `union` pixels where masks are.

    Raises:
        InputError: If the sample has no phrases with boxes.
    """
    if not isinstance(sample, ReferringSample) or sample.targets is None:
        raise InputError("phrases are measured on samples with phrases and their boxes")
    rows: Rows = {"ious": paired_iou(result.boxes, sample.targets)}
    if result.masks is not None and sample.target_masks is not None:
        rows["shared"], rows["union"] = mask_overlap(result.masks, sample.target_masks)
    return rows


def grounding_scores_of(rows: Iterable[Rows]) -> dict[str, float]:
    """`grounding_scores`, and `referring_scores` where every picture has masks.

    Raises:
        InputError: If there is no phrase at all.
    """
    parts = list(rows)
    if not parts:
        raise InputError("no phrases to find: expected pictures with phrases")
    scores = grounding_scores(np.concatenate([part["ious"] for part in parts]).astype(np.float64))
    if all("union" in part for part in parts):
        shared, union = (np.concatenate([p[key] for p in parts]) for key in ("shared", "union"))
        scores |= referring_scores(shared.astype(np.int64), union.astype(np.int64))
    return scores
