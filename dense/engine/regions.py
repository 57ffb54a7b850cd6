"""Region accuracy under the Runner: given boxes and masks named by pooled dense features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import numpy as np

from dense.backbones import CLIPBackbone, last_block
from dense.classifier import build_text_classifier
from dense.datasets.regions import RegionTruth
from dense.engine.metrics import ExactMetric, Metrics, Record
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.evaluation.regions import Rows, region_rows, region_scores_of
from dense.prompts import readable_name
from dense.structures import DetectionResult, Sample, TextClassifier


@dataclass(frozen=True)
class RegionReading(DetectionResult):
    """The given boxes of a picture with the names that were read in them.

    Attributes:
        rows: What counts, by kind of region, see `dense.evaluation.regions.region_rows`.
    """

    rows: dict[str, Rows] = field(default_factory=dict)


class RegionReader:
    """Names the regions that samples carry.

    Args:
        backbone: The CLIP.
        classifier: The class names.
        attention: Of the last block, see `last_block`; what the checkpoint recommends if ``None``.
        short_side: Input short side in pixels; as above.
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        attention: str | None = None,
        short_side: int | None = None,
    ) -> None:
        advised = backbone.recommended
        self.backbone, self.classifier, self.attention = backbone, classifier, attention
        self.block = advised.block if attention is None else last_block(attention)
        self.short_side = short_side or advised.short_side

    def predict(self, samples: Sequence[Sample]) -> list[RegionReading]:
        """Name the regions of pictures of any sizes, in order."""
        return [self._read(sample) for sample in samples]

    def describe(self) -> dict[str, object]:
        """Protocol card: everything that changes the numbers."""
        classifier = self.classifier
        return {
            "method": "region accuracy",
            "model": self.backbone.name,
            "attention": self.attention or "recommended",
            "short_side": self.short_side,
            "classes": classifier.num_classes,
            "templates": classifier.templates,
            "vocabulary": classifier.vocabulary,
        }

    def _read(self, sample: Sample) -> RegionReading:
        rows = region_rows(
            self.backbone, sample, self.classifier, self.block, short_side=self.short_side
        )
        boxes = np.zeros((0, 4), np.float32) if sample.boxes is None else sample.boxes
        things = sample.things if isinstance(sample, RegionTruth) else None
        things = np.ones(len(boxes), bool) if things is None else things
        labels, scores = np.zeros(len(boxes), np.int64), np.zeros(len(boxes), np.float32)
        for kind, place in (("boxes", things), ("stuff", ~things)):
            if kind in rows:
                labels[place], scores[place] = rows[kind]["best"][:, 0], rows[kind]["sure"]
        return RegionReading(boxes, scores, labels, self.classifier.class_names, rows=rows)


def region_reader(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    attention: str | None = None,
    short_side: int | None = None,
    cache_dir: str | None = None,
) -> RegionReader:
    """A `RegionReader` of a data set's classes.

    Args:
        backbone: The CLIP.
        classes: Names in the data set's order.
        words: What to call a class in the prompts, by its name; synonyms after semicolons. Others
            get `dense.prompts.readable_name`.
        templates: Name of a template set.
        attention: See `RegionReader`.
        short_side: See `RegionReader`.
        cache_dir: Where text weights are kept.
    """
    called = dict(words or {})
    names = [called.get(name, readable_name(name)) for name in classes]
    classifier = build_text_classifier(backbone, names, templates=templates, cache_dir=cache_dir)
    return RegionReader(backbone, classifier, attention=attention, short_side=short_side)


class RegionMetric(ExactMetric):
    """`boxes_mean_top1`, ..., `things_...` and `stuff_...` where there are masks, in percent."""

    def record(self, prediction: Prediction) -> Record:
        """The rows of one picture."""
        if not isinstance(prediction.result, RegionReading):
            raise InputError("region accuracy needs the results of a region reader")
        return dict(prediction.result.rows)

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Over all regions."""
        found = region_scores_of(cast(Sequence[dict[str, Rows]], records))
        return {f"{kind}_{name}": v for kind, row in found.items() for name, v in row.items()}
