"""What a comparison of segmentation methods is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dense.errors import InputError
from dense.evaluation.comparison.cells import check_weights, name_roots
from dense.evaluation.comparison.segment_data import SegmentData, check_vocabulary
from dense.methods.catalog import find_method, methods
from dense.methods.method import Method
from dense.methods.segmentation.protocol import (
    WHOLE,
    SegmentProtocol,
    Threshold,
    find_protocol,
)
from dense.methods.segmentor import advised_protocol
from dense.refine import find_refiners

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone

RECOMMENDED = Method(
    "recommended",
    "segment",
    "The last block that the checkpoint recommends for itself",
    "",
    "dense.methods.segmentor:build_recommended",
    "as the variant that is recommended",
)
"""A name that only comparisons know: it is no method of a paper."""

NO_REFINEMENT = "none"


@dataclass(frozen=True)
class SegmentSetup:
    """What is compared, and how.

    Attributes:
        roots: Folders with images/ masks/ classes.json.
        methods: Names of the catalogue, or ``"recommended"``; all that need no learned parts if
            empty.
        refine: Post-processing, a column each: ``"none"``, or steps joined by ``"+"``.
        protocols: How every method is run: names of presets.
        short_side: In place of the protocols' own.
        threshold: In place of the protocols' own.
        vocabularies: See `dense.evaluation.comparison.segment_data.VOCABULARIES`.
        background: Words of the class named "background" in ``classes.json``, if there is one.
        templates: Name of a template set.
        weights: Files of learned parts by method.
        limit: Pictures of a data set at most, evenly spaced.
        batch_size: Images or windows that run at once.
        pictures: Keep the best and the worst picture of each cell.
    """

    roots: Sequence[Path]
    methods: Sequence[str] = ()
    refine: Sequence[str] = (NO_REFINEMENT,)
    protocols: Sequence[str] = (WHOLE.name,)
    short_side: int | None = None
    threshold: Threshold | None = None
    vocabularies: Sequence[str] = ("present",)
    background: Sequence[str] = ()
    templates: str = "imagenet"
    weights: Mapping[str, Path] = field(default_factory=dict)
    limit: int | None = None
    batch_size: int = 4
    pictures: bool = True

    def protocol(self, name: str, backbone: CLIPBackbone) -> SegmentProtocol:
        """A preset with the checkpoint's advice and the replaced values, without refinement.

        Raises:
            InputError: If there is none of that name, or the threshold is no probability.
        """
        preset = advised_protocol(backbone, find_protocol(name))
        return preset.changed(short_side=self.short_side, threshold=self.threshold)

    def chosen(self) -> list[Method]:
        """Rows of the catalogue.

        Raises:
            InputError: If a name is unknown, a method has its own classes, or learned parts are
                missing or given to none.
        """
        if self.methods:
            found = [_find(name) for name in dict.fromkeys(self.methods)]
        else:
            known = [m for m in methods("segment") if not m.trained or m.name in self.weights]
            found = [RECOMMENDED, *known]
        for method in found:
            if method.own_classes:
                raise InputError(
                    f"{method.name} knows the classes of its own data alone, no shared vocabulary: "
                    "use dense evaluate with its config"
                )
        check_weights(found, self.weights)
        return found


@dataclass(frozen=True)
class SegmentCell:
    """One run: a method, with its post-processing, on a part of a data set."""

    data: str
    root: Path
    vocabulary: str
    protocol: str
    method: Method
    steps: tuple[str, ...]
    part: int

    def __str__(self) -> str:
        return (
            f"{self.data} part {self.part}, {self.vocabulary} classes, {self.protocol}, "
            f"{self.method.name}, refine {self.refine}"
        )

    @property
    def refine(self) -> str:
        """Post-processing as a column shows it."""
        return "+".join(self.steps) or NO_REFINEMENT

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""
        return {
            "data": self.data,
            "classes": self.vocabulary,
            "protocol": self.protocol,
            "method": self.method.name,
            "refine": self.refine,
            "part": self.part,
        }


def plan(setup: SegmentSetup) -> tuple[list[SegmentCell], dict[Path, SegmentData]]:
    """List the cells, data set by data set, and open the data sets.

    Cells of one data set, protocol and part stand together: they share the frozen blocks.

    Raises:
        InputError: If there is nothing to run, or a name, number or data set is wrong.
    """
    refinements = [_steps(text) for text in dict.fromkeys(setup.refine)]
    if not (refinements and setup.protocols and setup.vocabularies):
        raise InputError("nothing to compare: name at least one protocol, refinement, vocabulary")
    for vocabulary in setup.vocabularies:
        check_vocabulary(vocabulary)
    for protocol in setup.protocols:
        find_protocol(protocol).changed(short_side=setup.short_side, threshold=setup.threshold)
    opened, chosen = {}, setup.chosen()
    cells = []
    for data, root in name_roots(setup.roots):
        opened[root] = SegmentData(root, limit=setup.limit)
        cells += [
            SegmentCell(data, root, vocabulary, protocol, method, steps, part)
            for protocol in dict.fromkeys(setup.protocols)
            for part in range(opened[root].parts)
            for vocabulary in dict.fromkeys(setup.vocabularies)
            for method in chosen
            for steps in refinements
        ]
    return cells, opened


def _steps(text: str) -> tuple[str, ...]:
    steps = () if text == NO_REFINEMENT else tuple(text.split("+"))
    find_refiners(steps)
    return steps


def _find(name: str) -> Method:
    return RECOMMENDED if name == RECOMMENDED.name else find_method(name, "segment")
