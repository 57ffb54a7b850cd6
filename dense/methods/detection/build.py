"""Detectors from words: what the command line, configs and comparisons build."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.methods.catalog import find_method
from dense.methods.detection.base import Detector
from dense.methods.detection.detector import CROPS, DetectSettings
from dense.methods.detection.proposals import Proposer
from dense.methods.detection.vocabulary import object_classes
from dense.methods.method import Method, needs_weights, refuse_weights


def takes_proposals(method: Method) -> bool:
    """Whether a "detect" method looks at the regions of any proposer.

    Trained methods propose themselves, and ``boxes`` has been told where to look.
    """
    return not method.trained and method.name != "boxes"


def with_crops(settings: DetectSettings, method: str) -> DetectSettings:
    """Settings with the crops that a "detect" method is named for."""
    return replace(settings, crops=CROPS if method == "regions-crops" else 0)


def build_detector(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    background: Sequence[str] | None = None,
    templates: str = "imagenet",
    method: str = "regions",
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
    weights: str | Path | None = None,
    cache_dir: str | Path | None = None,
) -> Detector:
    """A detector for some words.

    Args:
        backbone: The CLIP.
        classes: One entry a class, synonyms after semicolons.
        background: See `object_classes`; trained methods have learned what is no object, so that
            ``None`` is no words for them.
        templates: Name of a template set.
        method: A "detect" method of the catalogue.
        proposer: In place of the method's.
        settings: In place of the method's.
        weights: File of the learned parts, for trained methods.
        cache_dir: Where text weights are kept.

    Raises:
        InputError: If the words, a name or the file cannot be used.
    """
    row = find_method(method, "detect")
    own = {}
    if row.trained:
        if weights is None:
            raise needs_weights(method)
        background, own = background or (), {"weights": weights}
    else:
        refuse_weights(method, weights)
    words = object_classes(classes, background)
    classifier = build_text_classifier(backbone, words, templates=templates, cache_dir=cache_dir)
    made = row.builder()(backbone, classifier, proposer=proposer, settings=settings, **own)
    return cast(Detector, made)
