"""What a comparison of detectors is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dense.datasets import DetectionFolder
from dense.evaluation.comparison.box_data import choose_methods, open_folders
from dense.evaluation.comparison.cells import name_roots
from dense.methods.detection.build import takes_proposals, with_crops
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.grouping import PatchGrouping
from dense.methods.method import Method


@dataclass(frozen=True)
class DetectSetup:
    """What is compared, and how.

    Attributes:
        roots: Folders with images/ instances.json.
        methods: Names of the catalogue; all that need no learned parts if empty.
        weights: Files of learned parts by method.
        proposals: Most regions of a picture, a row each.
        objectness: Exponents of the proposals' objectness in the score, a row each.
        short_side: Input short side in pixels; what the checkpoint recommends if ``None``.
        background: Words for what is no object, see `object_classes`.
        limit: Pictures of a data set at most, evenly spaced.
        templates: Name of a template set.
        pictures: Keep the pictures that go best and worst.
    """

    roots: Sequence[Path]
    methods: Sequence[str] = ()
    weights: Mapping[str, Path] = field(default_factory=dict)
    proposals: Sequence[int] = (PatchGrouping.limit,)
    objectness: Sequence[float] = (DetectSettings.objectness,)
    short_side: int | None = None
    background: Sequence[str] | None = None
    limit: int | None = None
    templates: str = "imagenet"
    pictures: bool = True

    def cells_of(self, method: Method) -> Iterator[tuple[int | None, float | None]]:
        """Proposals and exponents of a method's rows; a single one where it has no choice."""
        if not takes_proposals(method):
            yield None, None
            return
        for count in dict.fromkeys(self.proposals):
            for exponent in dict.fromkeys(self.objectness):
                yield count, exponent

    def settings(self, cell: DetectCell) -> DetectSettings | None:
        """Of a cell's detector, for average precision; trained methods have their own."""
        if cell.method.trained:
            return None
        chosen = replace(DetectSettings(), short_side=self.short_side)
        if cell.objectness is not None:
            chosen = replace(chosen, objectness=cell.objectness)
        return with_crops(chosen, cell.method.name)


@dataclass(frozen=True)
class DetectCell:
    """One run: a detector on a data set.

    Attributes:
        data: Name of the data set.
        root: Its folder.
        method: Row of the catalogue.
        proposals: Most regions of a picture; ``None`` where the method has its own.
        objectness: Exponent in the score; ``None`` as above.
    """

    data: str
    root: Path
    method: Method
    proposals: int | None
    objectness: float | None

    def __str__(self) -> str:
        count, exponent = self.names()["proposals"], self.names()["objectness"]
        return f"{self.data}, {self.method.name}, proposals {count}, objectness {exponent}"

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""
        own = "learned" if self.method.trained else "given"
        return {
            "data": self.data,
            "method": self.method.name,
            "proposals": own if self.proposals is None else self.proposals,
            "objectness": "-" if self.objectness is None else f"{self.objectness:g}",
        }


def plan(setup: DetectSetup) -> tuple[list[DetectCell], dict[Path, DetectionFolder]]:
    """List the cells, data set by data set, and open the data sets.

    Raises:
        InputError: If a name, number, file or data set is wrong.
    """
    for count in setup.proposals:
        PatchGrouping(limit=count)
    for exponent in setup.objectness:
        DetectSettings(objectness=exponent)
    chosen = choose_methods("detect", setup.methods, setup.weights)
    opened = open_folders(setup.roots, setup.limit, wanted="to find")
    cells = [
        DetectCell(data, root, method, count, exponent)
        for data, root in name_roots(setup.roots)
        for method in chosen
        for count, exponent in setup.cells_of(method)
    ]
    return cells, opened
