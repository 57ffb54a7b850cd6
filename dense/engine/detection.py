"""Detection under the Runner: the detector of a config, and COCO's average precision."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from dense.backbones import CLIPBackbone
from dense.datasets import DetectionFolder
from dense.datasets._files import read_json
from dense.datasets.coco import category_ids
from dense.datasets.open_vocabulary import find_split
from dense.engine.metrics import ExactMetric, Metrics, Record
from dense.engine.model import Prediction
from dense.errors import InputError
from dense.evaluation.detection import Row, average_precision, coco_rows
from dense.methods.detection.base import Detector
from dense.methods.detection.build import build_detector
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.proposals import Proposer
from dense.prompts import readable_name
from dense.structures import DetectionResult


def detection_classes(
    dataset: DetectionFolder, *, split: str | None = None, novel: bool = True
) -> list[str]:
    """Class names of a data set in order; of the novel and base classes alone with a split.

    Args:
        dataset: Pictures with boxes.
        split: ``"coco"`` or ``"lvis"``, see `dense.datasets.open_vocabulary`.
        novel: With the split's novel classes; training leaves them out.
    """
    if split is None:
        return list(dataset.names)
    parts = find_split(dataset.annotations, split)
    kept = {*parts.base, *(parts.novel if novel else ())}
    ids = category_ids(dataset.annotations)
    return [name for name, number in zip(dataset.names, ids, strict=True) if number in kept]


def detector(
    backbone: CLIPBackbone,
    classes: Sequence[str],
    *,
    words: Mapping[str, str] | None = None,
    background: Sequence[str] | None = None,
    templates: str = "imagenet",
    method: str = "regions",
    proposer: Proposer | None = None,
    settings: DetectSettings | None = None,
    cache_dir: str | None = None,
    weights: str | None = None,
) -> Detector:
    """`build_detector` on a data set's classes.

    Args:
        backbone: The CLIP.
        classes: Names in the data set's order, see `detection_classes`.
        words: What to call a class in the prompts, by its name; synonyms after semicolons. Others
            get `dense.prompts.readable_name`.
        background: As for `build_detector`, likewise what follows.
        templates: Name of a template set.
        method: A "detect" method of `dense methods`.
        proposer: In place of the method's.
        settings: In place of the method's.
        cache_dir: Where text weights are kept.
        weights: File of the learned parts, for trained methods.
    """
    called = dict(words or {})
    return build_detector(
        backbone,
        [called.get(name, readable_name(name)) for name in classes],
        background=background,
        templates=templates,
        method=method,
        proposer=proposer,
        settings=settings,
        weights=weights,
        cache_dir=cache_dir,
    )


class DetectionMetric(ExactMetric):
    """`ap`, `ap50`, ..., and `novel_ap50`, `base_ap50` with a split, in percent.

    Args:
        dataset: What is evaluated: its file is the ground truth, crowds included.
        classes: Names of the detector's classes in order; all of the data set's if ``None``.
        kind: ``"bbox"`` or ``"segm"``.
        split: ``"coco"`` or ``"lvis"`` for novel and base columns.
        lvis: LVIS's rules, see `average_precision`.
    """

    def __init__(
        self,
        dataset: DetectionFolder,
        *,
        classes: Sequence[str] | None = None,
        kind: str = "bbox",
        split: str | None = None,
        lvis: bool = False,
    ) -> None:
        super().__init__()
        self.dataset = dataset
        self.kind = kind
        self.lvis = lvis
        self.split = None if split is None else find_split(dataset.annotations, split)
        known = dict(zip(dataset.names, category_ids(dataset.annotations), strict=True))
        names = dataset.names if classes is None else classes
        lost = [name for name in names if name not in known]
        if lost:
            raise InputError(f"the data set has no class {lost[0]!r}")
        self.ids = [known[name] for name in names]

    def record(self, prediction: Prediction) -> Record:
        """The rows of one picture."""
        result = prediction.result
        if not isinstance(result, DetectionResult):
            raise InputError("detection scores need detection results")
        if len(result.class_names) != len(self.ids):
            raise InputError(
                f"the detector has {len(result.class_names)} classes, the metric {len(self.ids)}: "
                "give both the same list"
            )
        image_id = self.dataset.records[prediction.index].image_id
        return {"rows": coco_rows(result, image_id, self.ids)}

    def summarise(self, records: Sequence[Record]) -> Metrics:
        """Average precision over all pictures."""
        rows = [row for record in records for row in cast(list[Row], record["rows"])]
        content = read_json(self.dataset.annotations, "COCO's annotations")
        return average_precision(content, rows, kind=self.kind, split=self.split, lvis=self.lvis)
