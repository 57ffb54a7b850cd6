"""Open-vocabulary segmentation of a folder data set, by the names it holds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets import SegmentationFolder
from dense.errors import InputError
from dense.evaluation.segment_tally import IGNORE, SegmentTally
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.methods.segmentor import build_segmentor
from dense.prompts import readable_name

# fmt: off
VOC_NAMES = frozenset({
    "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch",
    "train", "tv",
})
# fmt: on
"""The 20 classes of Pascal VOC under COCO's names."""

BATCH = 8


def present_classes(folder: SegmentationFolder) -> list[int]:
    """Indices of the classes that occur in some mask."""
    found = {int(k) for index in range(len(folder)) for k in np.unique(folder.mask(index))}
    return sorted(found - {IGNORE})


def segment_folder(
    backbone: CLIPBackbone,
    folder: SegmentationFolder,
    *,
    method: str | None = None,
    protocol: SegmentProtocol = WHOLE,
    classes: Sequence[int] | None = None,
    templates: str = "imagenet",
) -> dict[str, float]:
    """Mean IoU family and calibration error in percent, at original size.

    Args:
        backbone: A loaded CLIP.
        folder: The data.
        method: A "segment" method of the catalogue; ``None`` is the last block that the
            checkpoint recommends.
        protocol: How it is run.
        classes: Class indices that form the vocabulary; pixels of other classes are ignored. By
            default the classes that occur in the masks.
        templates: Name of a template set.

    Raises:
        InputError: If fewer than two classes are chosen.
    """
    chosen = list(present_classes(folder) if classes is None else classes)
    if len(chosen) < 2:
        raise InputError(f"segmentation needs at least 2 classes, got {len(chosen)}")
    names = [readable_name(folder.labels.names[k]) for k in chosen]
    classifier = build_text_classifier(backbone, names, templates=templates)
    segmentor = build_segmentor(backbone, classifier, method, protocol=protocol)
    table = target_table(chosen)
    tally = SegmentTally(len(chosen))
    for start in range(0, len(folder), BATCH):
        batch = [folder[i] for i in range(start, min(start + BATCH, len(folder)))]
        for sample, result in zip(batch, segmentor.predict(batch), strict=True):
            tally.add(result, table[np.asarray(sample.mask)])
    return {**tally.scores(), "classes": float(len(chosen)), "count": float(len(folder))}


def target_table(chosen: Sequence[int]) -> NDArray[np.int64]:
    """(256,) index of each mask value among the chosen classes, `IGNORE` for the others."""
    table = np.full(IGNORE + 1, IGNORE, np.int64)
    table[list(chosen)] = np.arange(len(chosen))
    return table
