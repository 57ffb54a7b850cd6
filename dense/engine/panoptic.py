"""Panoptic segmentation under the Runner: things by a detector, stuff by a segmentor, and PQ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np

from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.datasets.regions import PanopticFolder
from dense.engine.detection import detector
from dense.engine.metrics import ExactMetric, Metrics, Record
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.methods.catalog import find_method
from dense.methods.detection.base import Detector
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.panoptic import merge_panoptic
from dense.methods.segmentor import OpenVocabSegmentor, advised_protocol, build_segmentor
from dense.metrics.panoptic import (
    PanopticCounts,
    panoptic_counts,
    panoptic_quality,
    panoptic_scores,
)
from dense.prompts import make_class_list, readable_name
from dense.structures import PanopticResult, PanopticSegments, Sample

WITH_MASKS = DetectSettings(least=0.1, inside=0.7, masks=True)
"""What `dense detect` shows, with masks."""


@dataclass(frozen=True)
class MergeSettings:
    """How masks and stuff become one segment a pixel, see `merge_panoptic`.

    Attributes:
        least_visible: Share of a mask that no better one covers, below which it is dropped.
        least_stuff: Fewest pixels of a stuff segment; 4,096 in the authors' baseline for COCO.
    """

    least_visible: float = 0.5
    least_stuff: int = 64


class PanopticSegmentor:
    """Masks of the detector, best first, over the segmentor's stuff.

    Args:
        detector: Finds the things, with masks.
        segmentor: Over all classes.
        things: (K,) which of the segmentor's classes are countable.
        merge: See `MergeSettings`.

    Raises:
        InputError: If the detector looks for something that is not a thing among the classes.
    """

    def __init__(
        self,
        detector: Detector,
        segmentor: OpenVocabSegmentor,
        things: Sequence[bool],
        *,
        merge: MergeSettings = MergeSettings(),
    ) -> None:
        names = segmentor.classifier.class_names
        self.detector, self.segmentor, self.merge = detector, segmentor, merge
        countable = [name for name, thing in zip(names, things, strict=True) if thing]
        if list(detector.class_names) != countable:
            raise InputError(
                f"the detector must look for the things {', '.join(countable)} in this order, got "
                f"{', '.join(detector.class_names)}"
            )
        self.places = np.flatnonzero(things)
        self.stuff = tuple(int(place) for place in np.flatnonzero(~np.asarray(things, bool)))

    def predict(self, samples: Sequence[Sample]) -> list[PanopticResult]:
        """One segment a pixel for pictures of any sizes, in order."""
        found, maps = self.detector.predict(samples), self.segmentor.predict(samples)
        return [
            merge_panoptic(
                replace(objects, labels=self.places[objects.labels], class_names=stuff.class_names),
                stuff,
                stuff_classes=self.stuff,
                least_score=0.0,
                **asdict(self.merge),
            )
            for objects, stuff in zip(found, maps, strict=True)
        ]

    def describe(self) -> dict[str, object]:
        """Protocol card: the detector's, the segmentor's, and the merging's."""
        stuff = {f"stuff_{k}": v for k, v in self.segmentor.describe().items()}
        return {**self.detector.describe(), **stuff, **asdict(self.merge)}


def panoptic_segmentor(
    backbone: CLIPBackbone,
    dataset: PanopticFolder,
    *,
    words: Mapping[str, str] | None = None,
    templates: str = "imagenet",
    method: str = "regions",
    weights: str | None = None,
    detect: DetectSettings = WITH_MASKS,
    segment: str | None = None,
    merge: MergeSettings | None = None,
    cache_dir: str | None = None,
) -> PanopticSegmentor:
    """A `PanopticSegmentor` on a data set's classes.

    Stuff is what is no object for the detector, but for trained ones, which have learned that.

    Args:
        backbone: The CLIP.
        dataset: Names the classes, and which are things.
        words: What to call a class in the prompts, by its name; others get `readable_name`.
        templates: Name of a template set.
        method: A "detect" method of `dense methods`.
        weights: File of its learned parts, for trained methods.
        detect: What of the detections counts.
        segment: A "segment" method; ``None`` is the last block that the checkpoint recommends.
        merge: See `MergeSettings`.
        cache_dir: Where text weights are kept.

    Raises:
        InputError: If the data set has no things, or `detect` makes no masks.
    """
    if not any(dataset.things):
        raise InputError(f"{dataset.root} has no things: measure it with a segmentation config")
    if not detect.masks:
        raise InputError("panoptic segmentation needs masks: set masks=True in `detect`")
    called = [(words or {}).get(name, readable_name(name)) for name in dataset.names]
    sorts = list(zip(called, dataset.things, strict=True))
    stuff = [name for name, thing in sorts if not thing]
    finder = detector(
        backbone,
        [name for name, thing in sorts if thing],
        background=[] if find_method(method, "detect").trained else stuff or None,
        templates=templates,
        method=method,
        settings=detect,
        cache_dir=cache_dir,
        weights=weights,
    )
    listed = make_class_list(called)
    classifier = build_text_classifier(backbone, listed, templates=templates, cache_dir=cache_dir)
    cutter = build_segmentor(backbone, classifier, segment, protocol=advised_protocol(backbone))
    return PanopticSegmentor(finder, cutter, dataset.things, merge=merge or MergeSettings())


class PanopticMetric(ExactMetric):
    """`pq`, `sq`, `rq`, with `_things` and `_stuff`, and `pq/CLASS`, ..., in percent.

    Args:
        dataset: What is evaluated.
    """

    def __init__(self, dataset: PanopticFolder) -> None:
        super().__init__()
        self.dataset = dataset

    def record(self, prediction: Prediction) -> Record:
        """The counts of one picture."""
        result = prediction.result
        if not isinstance(result, PanopticResult):
            raise InputError("panoptic quality needs panoptic results")
        classes = len(self.dataset.names)
        if len(result.class_names) != classes:
            raise InputError(
                f"the results have {len(result.class_names)} classes, the data set {classes}"
            )
        found = PanopticSegments(result.segment_map, result.labels)
        truth = self.dataset.truth(prediction.index)
        return {"counts": panoptic_counts(found, truth, classes)}

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Quality over all pictures."""
        nothing = np.zeros(len(self.dataset.names), np.int64)
        total = PanopticCounts(nothing, nothing, nothing, nothing.astype(np.float64))
        for record in records:
            counts = record["counts"]
            if isinstance(counts, PanopticCounts):
                total = total + counts
        scores = panoptic_scores(total, self.dataset.things)
        for metric, values in panoptic_quality(total).items():
            for name, value in zip(self.dataset.names, values, strict=True):
                scores[f"{metric}/{name}"] = 100 * float(value)
        return scores
