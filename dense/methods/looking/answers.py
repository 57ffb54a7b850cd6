"""The two questions: which words fit a region, and which region fits a phrase."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.errors import InputError
from dense.methods.looking.base import AskedRegions, Looker, Picture, only_classes
from dense.structures import DetectionResult, TextClassifier


@dataclass(frozen=True)
class RegionNames(DetectionResult):
    """Regions with the words that fit them best; boxes in the order they were asked.

    Attributes:
        probabilities: (R, K) float32; `labels` and `scores` are the best of each row.
    """

    probabilities: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))


@dataclass(frozen=True)
class Grounded(DetectionResult):
    """The region of each phrase: `boxes` and `masks` hold one row a phrase, `labels` count them.

    Attributes:
        proposals: (R, 4) float32 all regions that were looked at.
        agreement: (P, R) float32 how well each fits each phrase, as logits.
    """

    proposals: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 4), np.float32))
    agreement: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))


@torch.inference_mode()
def classify(
    backbone: CLIPBackbone,
    looker: Looker,
    image: Picture,
    words: TextClassifier,
    regions: AskedRegions | None = None,
) -> RegionNames:
    """Name regions of a picture, or the picture itself.

    Args:
        backbone: The CLIP.
        looker: How to look.
        image: (H, W, 3) uint8.
        words: The classes, see `dense.classifier.build_text_classifier`.
        regions: What is asked about; the whole picture if ``None``.

    Raises:
        InputError: If the looker needs regions and there are none, or cannot look with this CLIP.
    """
    kept: list[int] | None = None
    if regions is None or regions.whole:
        regions, kept = looker.choose(backbone, image, words)
    names = words.class_names
    if not len(regions):
        return RegionNames(
            regions.boxes, np.zeros(0, np.float32), np.zeros(0, np.int64), names, None,
            np.zeros((0, len(names)), np.float32),
        )  # fmt: skip
    views = looker.views(backbone, image, regions)
    if kept is None:
        found = looker.probabilities(views, words)
    else:
        some = looker.probabilities(views, only_classes(words, kept))
        found = some.new_zeros(len(some), len(names))
        found[:, kept] = some
    best = found.max(1)
    return RegionNames(
        regions.boxes,
        best.values.float().cpu().numpy(),
        best.indices.cpu().numpy(),
        names,
        regions.masks,
        found.float().cpu().numpy(),
    )


@torch.inference_mode()
def ground(
    backbone: CLIPBackbone,
    looker: Looker,
    image: Picture,
    phrases: TextClassifier,
    regions: AskedRegions,
    *,
    negatives: Tensor | None = None,
) -> Grounded:
    """Find the region of each phrase.

    Args:
        backbone: The CLIP.
        looker: How to look.
        image: (H, W, 3) uint8.
        phrases: One class a phrase, see `dense.methods.looking.ask.encode_phrases`.
        regions: Where to look, at least one.
        negatives: (M, D) unit rows of phrases that do not matter: their mean is subtracted from
            each region's agreement, which takes away what fits any words (score subtraction of
            RedCircle and FGVP).

    Raises:
        InputError: If there is no region, or the looker cannot look with this CLIP.
    """
    if not len(regions):
        raise InputError("there is no region to choose from: pass boxes or masks")
    views = looker.views(backbone, image, regions)
    found = views.agreement(phrases.weights)
    if negatives is not None:
        found = found - views.agreement(negatives).mean(1, keepdim=True)
    logits = (found * phrases.logit_scale).float().T
    chosen = logits.softmax(1).max(1)
    place = chosen.indices.cpu().numpy()
    return Grounded(
        regions.boxes[place],
        chosen.values.cpu().numpy(),
        np.arange(len(place)),
        phrases.class_names,
        None if regions.masks is None else regions.masks[place],
        regions.boxes,
        logits.cpu().numpy(),
    )
