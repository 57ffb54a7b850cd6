"""Lookers under the Runner: the looker of a config, and the metrics of names and of phrases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.engine.metrics import ExactMetric, Metrics, Record
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.evaluation.looking import (
    Rows,
    grounding_rows,
    grounding_scores_of,
    naming_rows,
    naming_scores_of,
)
from dense.methods.looking.answers import Grounded, RegionNames
from dense.methods.looking.ask import PhraseFinder, RegionNamer, build_looker
from dense.methods.looking.base import Setting
from dense.prompts import readable_name


def region_namer(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    method: str = "plain",
    weights: str | None = None,
    settings: Mapping[str, Setting] | None = None,
    cache_dir: str | None = None,
) -> RegionNamer:
    """A looker that names boxes by a data set's classes.

    Args:
        backbone: The CLIP.
        classes: Names in the data set's order.
        words: What to call a class in the prompts, by its name; synonyms after semicolons. Others
            get `dense.prompts.readable_name`.
        templates: Name of a template set.
        method: A "look" method of `dense methods`.
        weights: File of its learned parts.
        settings: The method's own settings.
        cache_dir: Where text weights are kept.
    """
    called = dict(words or {})
    names = [called.get(name, readable_name(name)) for name in classes]
    classifier = build_text_classifier(backbone, names, templates=templates, cache_dir=cache_dir)
    looker = build_looker(backbone, method, weights=weights, settings=settings)
    return RegionNamer(backbone, looker, classifier)


def phrase_finder(
    backbone: CLIPBackbone,
    *,
    templates: str = "phrase",
    negatives: Sequence[str] = (),
    method: str = "crop",
    weights: str | None = None,
    settings: Mapping[str, Setting] | None = None,
) -> PhraseFinder:
    """A looker that finds phrases; arguments as above and of `PhraseFinder`."""
    looker = build_looker(backbone, method, weights=weights, settings=settings)
    return PhraseFinder(backbone, looker, templates=templates, negatives=negatives)


class NamingMetric(ExactMetric):
    """`top1`, `top5`, ..., and `top1_smallest_third`, ..., `top1_large`, in percent."""

    def record(self, prediction: Prediction) -> Record:
        """The rows of one picture."""
        if not isinstance(prediction.result, RegionNames):
            raise InputError("naming scores need the results of a looker that names regions")
        return dict(naming_rows(prediction.sample, prediction.result))

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Over all boxes."""
        return naming_scores_of(cast(Sequence[Rows], records))


class GroundingMetric(ExactMetric):
    """`accuracy` (IoU at least .5), `box_iou`, and `ciou`, `miou`, ... with masks, in percent."""

    def record(self, prediction: Prediction) -> Record:
        """The rows of one picture."""
        if not isinstance(prediction.result, Grounded):
            raise InputError("phrase scores need the results of a looker that finds phrases")
        return dict(grounding_rows(prediction.sample, prediction.result))

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Over all phrases."""
        return grounding_scores_of(cast(Sequence[Rows], records))
