"""Lookers put to work: by name, with words, on samples as data sets give them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets.referring import ReferringSample
from dense.datasets.regions import RegionTruth
from dense.errors import InputError
from dense.methods.catalog import find_method
from dense.methods.looking.answers import Grounded, RegionNames, classify, ground
from dense.methods.looking.base import AskedRegions, Looker, Setting, asked_regions
from dense.prompts import ClassList
from dense.structures import Sample, TextClassifier


def build_looker(
    backbone: CLIPBackbone,
    name: str = "plain",
    *,
    weights: str | Path | None = None,
    settings: Mapping[str, Setting] | None = None,
) -> Looker:
    """A looker by its name.

    Args:
        backbone: A loaded CLIP.
        name: A "look" method of `dense.methods.catalog`.
        weights: File of the learned parts, for lookers that have some.
        settings: The looker's own settings.

    Raises:
        InputError: If the name or a setting is unknown, or the weights cannot be used.
    """
    build = find_method(name, "look").builder()
    return cast(Looker, build(backbone, weights=weights, **(settings or {})))


def phrase_classifier(
    backbone: CLIPBackbone, phrases: Sequence[str], *, templates: str = "phrase"
) -> TextClassifier:
    """Text features of whole phrases, one class each; equal phrases are allowed.

    Args:
        backbone: The CLIP whose text tower encodes them.
        phrases: E.g. ``"the cup on the left"``; semicolons separate nothing.
        templates: See `dense.prompts.template_set`; ``"none"`` takes them as they are.

    Raises:
        InputError: If there is no phrase, or one is blank.
    """
    texts = [" ".join(phrase.split()) for phrase in phrases]
    if not texts or not all(texts):
        raise InputError('there is no phrase to look for: write one, e.g. "the cup on the left"')
    unique = tuple(dict.fromkeys(text.casefold() for text in texts))
    found = build_text_classifier(
        backbone, ClassList(unique, tuple((text,) for text in unique)), templates=templates
    )
    rows = [unique.index(text.casefold()) for text in texts]
    return TextClassifier(
        found.weights[rows], tuple(texts), logit_scale=found.logit_scale, templates=templates
    )


def regions_of(sample: Sample) -> AskedRegions:
    """The regions that a sample carries; the whole picture if it carries none.

    Raises:
        InputError: If they cannot be used.
    """
    masks = sample.masks if isinstance(sample, RegionTruth | ReferringSample) else None
    owner = str(sample.image_path or "the picture")
    return asked_regions(sample.image_size, sample.boxes, masks, owner=owner)


class RegionNamer:
    """Names the regions of samples.

    Args:
        backbone: The CLIP.
        looker: How to look.
        words: The classes.
    """

    def __init__(self, backbone: CLIPBackbone, looker: Looker, words: TextClassifier) -> None:
        self.backbone = backbone
        self.looker = looker
        self.words = words

    def predict(self, samples: Sequence[Sample]) -> list[RegionNames]:
        """One result a sample, in order; its boxes in the order of the sample's."""
        return [
            classify(self.backbone, self.looker, sample.image, self.words, regions_of(sample))
            for sample in samples
        ]

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        words = self.words
        return {
            **self.looker.describe(),
            "model": self.backbone.name,
            "classes": words.num_classes,
            "logit_scale": round(words.logit_scale, 3),
            "templates": words.templates,
            "vocabulary": words.vocabulary,
        }


class PhraseFinder:
    """Finds the region of each phrase of samples, among the sample's regions.

    Args:
        backbone: The CLIP.
        looker: How to look.
        templates: See `phrase_classifier`.
        negatives: Phrases that do not matter, see `ground`.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        looker: Looker,
        *,
        templates: str = "phrase",
        negatives: Sequence[str] = (),
    ) -> None:
        self.backbone = backbone
        self.looker = looker
        self.templates = templates
        self.negatives = tuple(negatives)
        self.negative_rows: Tensor | None = None
        if negatives:
            self.negative_rows = phrase_classifier(backbone, negatives, templates=templates).weights

    def predict(self, samples: Sequence[Sample]) -> list[Grounded]:
        """One result a sample, one row a phrase.

        Raises:
            InputError: If a sample has no phrases or no regions.
        """
        return [self._find(sample) for sample in samples]

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        return {
            **self.looker.describe(),
            "model": self.backbone.name,
            "templates": self.templates,
            "negatives": len(self.negatives),
        }

    def _find(self, sample: Sample) -> Grounded:
        if not isinstance(sample, ReferringSample):
            raise InputError(
                "phrases are found in samples that have some: use a referring data set"
            )
        phrases = phrase_classifier(self.backbone, sample.phrases, templates=self.templates)
        return ground(
            self.backbone,
            self.looker,
            sample.image,
            phrases,
            regions_of(sample),
            negatives=self.negative_rows,
        )
