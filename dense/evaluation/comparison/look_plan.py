"""What a comparison of lookers is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dense.datasets import DetectionFolder
from dense.errors import InputError
from dense.evaluation.comparison.cells import name_roots
from dense.methods.catalog import find_method, methods
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
        if self.methods:
            found = [find_method(name, "look") for name in dict.fromkeys(self.methods)]
        else:
            found = [m for m in methods("look") if not m.trained or m.name in self.weights]
        for method in found:
            if method.trained and method.name not in self.weights:
                raise InputError(f"{method.name} needs learned parts: --weights {method.name}=FILE")
        lost = sorted(set(self.weights) - {method.name for method in found})
        if lost:
            raise InputError(f"weights are given for {lost[0]}, which is not compared")
        return found


@dataclass(frozen=True)
class LookCell:
    """One run: a looker on a data set."""

    data: str
    root: Path
    method: Method

    def __str__(self) -> str:
        return f"{self.data}, {self.method.name}"

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""
        return {"data": self.data, "method": self.method.name}


def plan(setup: LookSetup) -> tuple[list[LookCell], dict[Path, DetectionFolder]]:
    """List the cells, data set by data set, and open the data sets.

    Raises:
        InputError: If a name, number, file or data set is wrong.
    """
    if setup.limit is not None and setup.limit < 1:
        raise InputError(f"the limit must be 1 or more pictures, got {setup.limit}")
    chosen = setup.chosen()
    opened = {root: DetectionFolder(root) for root in setup.roots}
    for root, folder in opened.items():
        if not any(len(record.boxes) for record in folder.records):
            raise InputError(f"{root} has no boxes to name")
    cells = [
        LookCell(data, root, method) for data, root in name_roots(setup.roots) for method in chosen
    ]
    return cells, opened


def chosen_pictures(folder: DetectionFolder, limit: int | None) -> list[int]:
    """Pictures with boxes, evenly spaced if there are more than the limit."""
    there = [place for place, record in enumerate(folder.records) if len(record.boxes)]
    take = len(there) if limit is None else min(limit, len(there))
    return [there[place * len(there) // take] for place in range(take)]
