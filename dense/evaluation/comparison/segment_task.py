"""Comparison of segmentation methods: methods × refinements × vocabularies × protocols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dense import __version__
from dense.backbones import CLIPBackbone
from dense.classifier import build_text_classifier
from dense.evaluation.code_digest import code_digest
from dense.evaluation.comparison import segment_tables
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
from dense.evaluation.comparison.segment_data import VOCABULARIES, Vocabulary
from dense.evaluation.comparison.segment_pass import SharedPass, note_errors
from dense.evaluation.comparison.segment_plan import SegmentCell, SegmentSetup, plan
from dense.evaluation.segment_tally import IGNORE, SegmentTally
from dense.evaluation.segmentation import target_table
from dense.methods.segmentor import OpenVocabSegmentor
from dense.postprocess import undecided_index
from dense.structures import Sample, SegmentationResult, TextClassifier
from dense.visualize import draw_segmentation, side_by_side

FORMAT = 1
"""Raised when cells of older versions must not be used any more."""

READ = 8
"""Pictures that are in memory at once."""


class SegmentTask(Task):
    """Segmentation methods side by side.

    Args:
        backbone: The checkpoint.
        setup: What is compared.
        cache: Folder of text classifiers, kept by their content; not kept if ``None``.

    Raises:
        InputError: As `plan`, or if a vocabulary has fewer than two classes.
    """

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segmentation methods compared"
    summed: ClassVar[Summed] = segment_tables
    terminal: ClassVar[tuple[str, ...]] = segment_tables.TERMINAL

    def __init__(
        self, backbone: CLIPBackbone, setup: SegmentSetup, *, cache: Path | None = None
    ) -> None:
        self.backbone = backbone
        self.setup = setup
        self.left_out = []
        self.cells, self._data = plan(setup)
        self._cache = cache
        self._common = common_key(backbone) | {"format": FORMAT, "templates": setup.templates}
        self._vocabularies = {
            (root, name): data.vocabulary(name, setup.background)
            for root, data in self._data.items()
            for name in setup.vocabularies
        }
        self._classifier = lru_cache(self._make_classifier)

    def protocol(self) -> Record:
        """See the base class."""
        setup = self.setup
        limit = setup.limit
        return {
            **common_protocol(self.backbone),
            "templates": setup.templates,
            "classes": [f"{name} ({VOCABULARIES[name]})" for name in setup.vocabularies],
            "pictures": "all" if limit is None else f"{limit} at most, evenly spaced",
            "scored at": f"original size, undecided pixels are wrong, {IGNORE} is ignored",
            "boundary": "2 % of the diagonal",
            "method_x": "frozen blocks and the method's own layers over the forward pass",
            "refine_x": "post-processing over the forward pass",
            "peak_mb": "of the process (GPU: of the allocator), with weights and tokens of a batch",
            "version": __version__,
        }

    def key(self, cell: SegmentCell) -> Record:
        """See the base class."""
        vocabulary = self._vocabularies[cell.root, cell.vocabulary]
        builder = cell.method.build.partition(":")[0]
        modules = (builder, SharedPass.__module__, SegmentTally.__module__)
        return self._common | {
            "method": [cell.method.name, cell.method.build],
            "code": code_digest(*modules),
            "weights": file_digest(self.setup.weights.get(cell.method.name)),
            "protocol": asdict(self.setup.protocol(cell.protocol, self.backbone)),
            "refine": list(cell.steps),
            "words": [list(vocabulary.indices), vocabulary.words.digest],
            "part": self._data[cell.root].fingerprint(cell.part),
        }

    def groups(self) -> Iterator[list[SegmentCell]]:
        """Cells that see the same windows of the same pictures: they share the frozen blocks."""
        for _, cells in groupby(self.cells, lambda c: (c.root, c.protocol, c.part)):
            yield list(cells)

    def measure(self, waiting: Mapping[SegmentCell, Path]) -> Iterator[Measured]:
        """See the base class."""
        made, failed = self._segmentors(waiting)
        yield from failed.items()
        if not made:
            return
        part = next(iter(made)).part
        data = self._data[next(iter(made)).root]
        shared = SharedPass(made, {c: (c.vocabulary, c.method.name) for c in made})
        views = {c: _View(self._vocabularies[c.root, c.vocabulary], made[c]) for c in made}
        count = 0
        for samples in data.batches(part, max(READ, self.setup.batch_size)):
            count += len(samples)
            shared.run(samples, lambda cell, sample, result: views[cell].see(sample, result))
        for cell, view in views.items():
            if cell in shared.errors:
                yield cell, shared.errors[cell]
                continue
            stem = waiting[cell].with_suffix("")
            yield (
                cell,
                view.record(stem if self.setup.pictures else None)
                | {
                    "images": count,
                    "metrics": view.tally.scores(),
                    "seconds": _seconds(shared, cell),
                    "peak": max(shared.trace.peak, shared.work[cell].peak),
                },
            )

    def summary(self, record: Record) -> str:
        """See the base class."""
        metrics, seconds = record["metrics"], record["seconds"]
        pace = 1000 * segment_tables.total(seconds) / max(1, record["images"])
        return f"mIoU {metrics['miou']:.1f} ({pace:.0f} ms a picture)"

    def remarks(self, records: Sequence[Record]) -> dict[str, list[str]]:
        """See the base class; and which rows lack pictures."""
        lacking = segment_tables.incomplete(records, self.cells)
        return {"Incomplete": lacking, **super().remarks(records)}

    def _segmentors(
        self, cells: Mapping[SegmentCell, Path]
    ) -> tuple[dict[SegmentCell, OpenVocabSegmentor], dict[SegmentCell, Exception]]:
        made: dict[SegmentCell, OpenVocabSegmentor] = {}
        failed: dict[SegmentCell, Exception] = {}
        for cell in cells:
            with note_errors(failed, cell):
                protocol = self.setup.protocol(cell.protocol, self.backbone)
                learned = self.setup.weights.get(cell.method.name)
                made[cell] = cell.method.builder()(
                    self.backbone,
                    self._classifier(cell.root, cell.vocabulary),
                    protocol=replace(protocol, refine=cell.steps),
                    batch_size=self.setup.batch_size,
                    **({} if learned is None else {"weights": str(learned)}),
                )
        return made, failed

    def _make_classifier(self, root: Path, vocabulary: str) -> TextClassifier:
        words = self._vocabularies[root, vocabulary].words
        return build_text_classifier(
            self.backbone, words, templates=self.setup.templates, cache_dir=self._cache
        )


class _View:
    """What one segmentor's results add up to."""

    def __init__(self, vocabulary: Vocabulary, segmentor: OpenVocabSegmentor) -> None:
        self.table = target_table(vocabulary.indices)
        self.names = vocabulary.words.names
        self.card = segmentor.describe()
        self.tally = SegmentTally(len(self.names))
        self.extremes = Extremes[SegmentationResult](segment_tables.KINDS, self._draw)

    def see(self, sample: Sample, result: SegmentationResult) -> None:
        """Count a picture."""
        miou = self.tally.add(result, self._target(sample))
        if miou == miou:
            self.extremes.see({"worst": -miou, "best": miou}, miou, sample, result)

    def record(self, stem: Path | None) -> Record:
        """Counts, card and, at a stem, pictures."""
        return {
            "protocol_card": self.card,
            "class_names": list(self.names),
            "counts": self.tally.to_json(),
            "pictures": self.extremes.write(stem) if stem else [],
        }

    def _target(self, sample: Sample) -> NDArray[np.int64]:
        return self.table[np.asarray(sample.mask)]

    def _draw(self, sample: Sample, result: SegmentationResult) -> Picture:
        """The picture with what was predicted, and with the truth."""
        undecided = undecided_index(len(self.names))
        target = self._target(sample)
        truth = np.where(target == IGNORE, undecided, target)
        image = shrink(sample.image)
        shown = [
            SegmentationResult(_nearest(class_map, image), self.names)
            for class_map in (result.class_map, truth)
        ]
        drawn = [draw_segmentation(image, each, legend=False) for each in shown]
        return side_by_side(drawn, ["predicted", "truth"])


def _nearest(class_map: NDArray[np.int64], image: Picture) -> NDArray[np.int64]:
    height, width = image.shape[:2]
    small = cv2.resize(
        class_map.astype(np.uint16), (width, height), interpolation=cv2.INTER_NEAREST
    )
    return np.asarray(small, np.int64)


def _seconds(shared: SharedPass[SegmentCell], cell: SegmentCell) -> dict[str, float]:
    work = shared.work[cell]
    return {
        "trace": shared.trace.seconds,
        "forward": shared.trace.seconds + shared.last.seconds,
        "score": work.score.seconds,
        "refine": work.refine.seconds,
        "decide": work.decide.seconds,
    }
