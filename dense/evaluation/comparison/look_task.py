"""Comparison of lookers: the same boxes, named by each."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison import look_tables
from dense.evaluation.comparison.box_data import BoxCell, chosen_pictures, folder_digest
from dense.evaluation.comparison.cells import (
    Measured,
    Record,
    Summed,
    Task,
    common_key,
    common_protocol,
    file_digest,
)
from dense.evaluation.comparison.extremes import Extremes, Picture, shrink
from dense.evaluation.comparison.look_plan import LookSetup, plan
from dense.evaluation.looking import Rows, naming_rows, naming_scores_of
from dense.methods.looking.answers import RegionNames
from dense.methods.looking.ask import RegionNamer, build_looker
from dense.prompts import readable_name
from dense.structures import DetectionResult, Sample
from dense.visualize import draw_detections

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""


class LookTask(Task):
    """Lookers side by side, on boxes with labels.

    Args:
        backbone: The checkpoint.
        setup: What is compared.
        cache: Folder of text classifiers, kept by their content; not kept if ``None``.

    Raises:
        InputError: As `plan`.
    """

    name: ClassVar[str] = "look"
    title: ClassVar[str] = "Lookers compared"
    summed: ClassVar[Summed] = look_tables
    terminal: ClassVar[tuple[str, ...]] = look_tables.TERMINAL

    def __init__(
        self, backbone: CLIPBackbone, setup: LookSetup, *, cache: Path | None = None
    ) -> None:
        self.backbone = backbone
        self.setup = setup
        self.left_out = []
        self.cells, self._folders = plan(setup)
        self._places = {r: chosen_pictures(f, setup.limit) for r, f in self._folders.items()}
        self._cache = cache
        self._common = common_key(backbone) | {"format": FORMAT, "templates": setup.templates}

    def protocol(self) -> Record:
        """See the base class."""
        limit = self.setup.limit
        return {
            **common_protocol(self.backbone),
            "templates": self.setup.templates,
            "classes": "all of instances.json, in words",
            "pictures": "all with boxes" if limit is None else f"{limit} at most, evenly spaced",
            "thirds": "of the boxes by area",
            "small, large": "COCO's bounds of 32² and 96² on the area of the box",
            "s_per_image": "from pixels to words, reading left out",
            "cost_x": f"s_per_image over that of {look_tables.FLOOR}",
            "version": __version__,
        }

    def key(self, cell: BoxCell) -> Record:
        """See the base class.

        Raises:
            InputError: If the learned parts are missing.
        """
        builder, folder = cell.method.build.partition(":")[0], self._folders[cell.root]
        return self._common | {
            "method": [cell.method.name, cell.method.build],
            "code": code_digest(builder, naming_scores_of.__module__, RegionNames.__module__),
            "weights": file_digest(self.setup.weights.get(cell.method.name)),
            "data": folder_digest(cell.root, folder, self._places[cell.root]),
        }

    def measure(self, waiting: Mapping[BoxCell, Path]) -> Iterator[Measured]:
        """See the base class."""
        for cell, path in waiting.items():
            namer, found = self._namer(cell), _Found()
            extremes = Extremes[RegionNames](look_tables.KINDS, _draw)
            folder = self._folders[cell.root]
            places = self._places[cell.root]
            namer.predict([folder[places[0]]])  # once without the clock: the first pass is slower
            for place in places:
                sample = folder[place]
                begun = time.perf_counter()
                result = namer.predict([sample])[0]
                found.seconds += time.perf_counter() - begun
                right = found.add(sample, result)
                extremes.see({"worst": -right, "best": right}, right, sample, result)
            pictures = extremes.write(path.with_suffix("")) if self.setup.pictures else []
            yield (
                cell,
                {
                    "protocol": namer.describe(),
                    "images": len(places),
                    "metrics": naming_scores_of(found.rows),
                    "seconds": found.seconds,
                    "pictures": pictures,
                },
            )

    def summary(self, record: Record) -> str:
        """See the base class."""
        metrics = record["metrics"]
        pace = 1000 * record["seconds"] / max(1, record["images"])
        third = metrics["top1_smallest_third"]
        return f"top1 {metrics['top1']:.1f}, smallest third {third:.1f} ({pace:.0f} ms a picture)"

    def _namer(self, cell: BoxCell) -> RegionNamer:
        words = [readable_name(name) for name in self._folders[cell.root].names]
        classifier = build_text_classifier(
            self.backbone, words, templates=self.setup.templates, cache_dir=self._cache
        )
        weights = self.setup.weights.get(cell.method.name)
        looker = build_looker(self.backbone, cell.method.name, weights=weights)
        return RegionNamer(self.backbone, looker, classifier)


class _Found:
    """What one looker's answers add up to."""

    def __init__(self) -> None:
        self.rows: list[Rows] = []
        self.seconds = 0.0

    def add(self, sample: Sample, result: RegionNames) -> float:
        """Count a picture; the share of its boxes that are named right, in percent."""
        self.rows.append(naming_rows(sample, result))
        return 100 * float(np.mean(result.labels == sample.box_labels))


def _draw(sample: Sample, result: RegionNames) -> Picture:
    """The picture shrunk, with every box and its name."""
    image = shrink(sample.image)
    scale = image.shape[1] / sample.image.shape[1]
    shown = DetectionResult(result.boxes * scale, result.scores, result.labels, result.class_names)
    return draw_detections(image, shown)
