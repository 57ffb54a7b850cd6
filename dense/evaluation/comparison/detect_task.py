"""Comparison of detectors: the same pictures and words, by each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.datasets import DetectionFolder
from dense.datasets._files import read_json
from dense.datasets.coco import category_ids
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison import detect_tables
from dense.evaluation.comparison.box_data import evenly, folder_digest
from dense.evaluation.comparison.cells import (
    Measured,
    Record,
    Summed,
    Task,
    common_key,
    common_protocol,
    file_digest,
)
from dense.evaluation.comparison.detect_plan import DetectCell, DetectSetup, plan
from dense.evaluation.comparison.extremes import Extremes, Picture, shrink
from dense.evaluation.detection import Row as Found
from dense.evaluation.detection import average_precision, coco_rows
from dense.methods.detection.base import Detector
from dense.methods.detection.build import build_detector
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.detection.scoring import box_iou
from dense.prompts import readable_name
from dense.structures import DetectionResult, Sample
from dense.visualize import draw_detections, side_by_side

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""
OVERLAP = 0.5
"""Intersection over union from which a box is found."""


class DetectTask(Task):
    """Detectors side by side, on pictures with labelled boxes.

    Args:
        backbone: The checkpoint.
        setup: What is compared.
        cache: Folder of text classifiers, kept by their content; not kept if ``None``.

    Raises:
        InputError: As `plan`.
    """

    name: ClassVar[str] = "detect"
    title: ClassVar[str] = "Detectors compared"
    summed: ClassVar[Summed] = detect_tables
    terminal: ClassVar[tuple[str, ...]] = detect_tables.TERMINAL

    def __init__(
        self, backbone: CLIPBackbone, setup: DetectSetup, *, cache: Path | None = None
    ) -> None:
        self.backbone = backbone
        self.setup = setup
        self.left_out = []
        self.cells, self._folders = plan(setup)
        self._places = {
            root: evenly(range(len(folder)), setup.limit) for root, folder in self._folders.items()
        }
        self._cache = cache
        self._common = common_key(backbone) | {"format": FORMAT, "templates": setup.templates}

    def protocol(self) -> Record:
        """See the base class."""
        setup = self.setup
        return {
            **common_protocol(self.backbone),
            "templates": setup.templates,
            "classes": "all of instances.json, in words",
            "background": "the default words" if setup.background is None else setup.background,
            "pictures": "all" if setup.limit is None else f"{setup.limit} at most, evenly spaced",
            "short_side": setup.short_side or self.backbone.recommended.short_side,
            "ap": "COCO's, over IoU .5 to .95, 100 detections a picture",
            "ar": "mean recall over the same",
            "proposals50": f"true boxes that a proposal overlaps by {OVERLAP:g}, whatever its name",
            "s_per_image": "from pixels to named boxes, reading left out",
            "version": __version__,
        }

    def key(self, cell: DetectCell) -> Record:
        """See the base class.

        Raises:
            InputError: If the learned parts are missing.
        """
        setup, folder = self.setup, self._folders[cell.root]
        modules = (*cell.method.modules, average_precision.__module__, build_detector.__module__)
        return self._common | {
            "method": [cell.method.name, cell.method.build],
            "code": code_digest(*modules),
            "weights": file_digest(setup.weights.get(cell.method.name)),
            "data": folder_digest(cell.root, folder, self._places[cell.root]),
            "settings": [cell.proposals, cell.objectness, setup.short_side],
            "background": None if setup.background is None else list(setup.background),
        }

    def measure(self, waiting: Mapping[DetectCell, Path]) -> Iterator[Measured]:
        """See the base class."""
        for cell, path in waiting.items():
            detector, folder = self._detector(cell), self._folders[cell.root]
            places = self._places[cell.root]
            extremes = Extremes[DetectionResult](detect_tables.KINDS, _draw)
            tally = _Tally(folder)
            detector.predict([folder[places[0]]])  # once without the clock: the first is slower
            for place in places:
                sample = folder[place]
                begun = time.perf_counter()
                result, proposals = detector.detect(sample)
                tally.seconds += time.perf_counter() - begun
                tally.add(place, result, proposals.boxes)
                if sample.boxes is not None and len(sample.boxes):
                    share = found_share(sample, result)
                    extremes.see({"worst": -share, "best": share}, share, sample, result)
            pictures = extremes.write(path.with_suffix("")) if self.setup.pictures else []
            yield cell, {"protocol": detector.describe(), **tally.record(), "pictures": pictures}

    def summary(self, record: Record) -> str:
        """See the base class."""
        metrics, pace = record["metrics"], 1000 * record["seconds"] / max(1, record["images"])
        return f"AP {metrics['ap']:.1f}, AP50 {metrics['ap50']:.1f} ({pace:.0f} ms a picture)"

    def _detector(self, cell: DetectCell) -> Detector:
        setup = self.setup
        return build_detector(
            self.backbone,
            [readable_name(name) for name in self._folders[cell.root].names],
            background=setup.background,
            templates=setup.templates,
            method=cell.method.name,
            proposer=None if cell.proposals is None else PatchGrouping(limit=cell.proposals),
            settings=setup.settings(cell),
            weights=setup.weights.get(cell.method.name),
            cache_dir=self._cache,
        )


class _Tally:
    """What one detector found in the pictures of a folder."""

    def __init__(self, folder: DetectionFolder) -> None:
        self.folder = folder
        self.ids = category_ids(folder.annotations)
        self.rows: list[Found] = []
        self.images: list[int | str] = []
        self.proposed: list[NDArray[np.bool_]] = []
        self.seconds = 0.0

    def add(self, place: int, result: DetectionResult, proposals: Tensor) -> None:
        """Count a picture. proposals (R, 4) xyxy."""
        record = self.folder.records[place]
        self.images.append(record.image_id)
        self.rows += coco_rows(result, record.image_id, self.ids)
        near = box_iou(torch.from_numpy(record.boxes), proposals) >= OVERLAP
        self.proposed.append(near.any(1).numpy())

    def record(self) -> Record:
        """Counts and scores, in percent."""
        content = read_json(self.folder.annotations, "COCO's annotations")
        metrics = average_precision(content, self.rows, image_ids=self.images)
        proposed = np.concatenate(self.proposed)
        share = 100 * float(proposed.mean()) if len(proposed) else float("nan")
        return {
            "images": len(self.images),
            "boxes": len(proposed),
            "metrics": metrics | {"proposals50": share},
            "seconds": self.seconds,
        }


def found_share(sample: Sample, result: DetectionResult) -> float:
    """True boxes found by as many of the best detections as there are true boxes, in percent."""
    if sample.boxes is None or sample.box_labels is None or not len(sample.boxes):
        return float("nan")
    best = _best(result, len(sample.boxes))
    overlap = box_iou(torch.from_numpy(sample.boxes), torch.from_numpy(result.boxes[best])).numpy()
    right = (overlap >= OVERLAP) & (sample.box_labels[:, None] == result.labels[best])
    return 100 * float(right.any(1).mean())


def _best(result: DetectionResult, count: int) -> NDArray[np.int64]:
    return np.argsort(-result.scores, kind="stable")[:count]


def _draw(sample: Sample, result: DetectionResult) -> Picture:
    """The true boxes beside as many of the best detections."""
    if sample.boxes is None or sample.box_labels is None:
        return shrink(sample.image)
    image = shrink(sample.image)
    scale, best = image.shape[1] / sample.image.shape[1], _best(result, len(sample.boxes))
    names, sure = result.class_names, np.ones(len(sample.boxes), np.float32)
    truth = DetectionResult(sample.boxes * scale, sure, sample.box_labels, names)
    found = DetectionResult(
        result.boxes[best] * scale, result.scores[best], result.labels[best], names
    )
    shown = [draw_detections(image, part) for part in (truth, found)]
    return side_by_side(shown, ["true", "found"])
