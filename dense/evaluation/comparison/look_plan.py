"""What a comparison of lookers is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dense.datasets import DetectionFolder
from dense.evaluation.comparison.box_data import BoxCell, choose_methods, method_cells, open_folders
from dense.methods.method import Method


@dataclass(frozen=True)
class LookSetup:
    """What is compared, and how.

    Attributes:
        roots: Folders with images/ instances.json.
        methods: Names of the catalogue; all that need no learned parts if empty.
        weights: Files of learned parts by method.
        limit: Pictures of a data set at most, evenly spaced.
        templates: Name of a template set.
        pictures: Keep the pictures that go best and worst.
    """

    roots: Sequence[Path]
    methods: Sequence[str] = ()
    weights: Mapping[str, Path] = field(default_factory=dict)
    limit: int | None = None
    templates: str = "imagenet"
    pictures: bool = True

    def chosen(self) -> list[Method]:
        """Rows of the catalogue.

        Raises:
            InputError: If a name is unknown, or learned parts are missing or given to none.
        """
        return choose_methods("look", self.methods, self.weights)


def plan(setup: LookSetup) -> tuple[list[BoxCell], dict[Path, DetectionFolder]]:
    """List the cells, data set by data set, and open the data sets.

    Raises:
        InputError: If a name, number, file or data set is wrong.
    """
    chosen = setup.chosen()
    opened = open_folders(setup.roots, setup.limit, wanted="to name")
    return method_cells(setup.roots, chosen), opened
