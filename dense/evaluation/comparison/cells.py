"""Cells of a comparison: measured once, kept, and never run again.

A finished cell is a file in ``OUT/cells`` whose name is the hash of everything that changes its
numbers (`Task.key`), so an interrupted comparison goes on where it stopped, and a changed method,
checkpoint, data set or setting is measured anew.
"""

from __future__ import annotations

import hashlib
import json
import re
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from dense import __version__
from dense.errors import DenseError, InputError
from dense.outputs import check_writable, write_json

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.evaluation.comparison.tables import Row
    from dense.methods.method import Method
    from dense.report import Section

Record = dict[str, Any]
Progress = Callable[[str], None]


class Cell(Protocol):
    """One run of a method; hashable, and printed as progress."""

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""


Measured = tuple[Any, Record | Exception]
"""A cell with its record, or with what went wrong."""


class Summed(Protocol):
    """The module that sums up a task's cells."""

    def tables(self, records: Sequence[Record]) -> dict[str, list[Row]]:
        """Rows by the title of their table."""

    def remarks(self, records: Sequence[Record]) -> dict[str, list[str]]:
        """What a reader of the tables must know, by heading."""

    def sections(self, records: Sequence[Record], folder: Path) -> list[Section]:
        """Pictures for the page, from the files of the cells."""


class Task(ABC):
    """What is compared: the cells, how they are measured, and how they are summed up.

    Attributes:
        name: As in ``dense compare --task``.
        title: Of the page.
        summed: How cells become rows, remarks and pictures.
        terminal: Metrics that fit a terminal; the files have all.
        cells: What is run, in the order of the table.
        left_out: Combinations that do not exist, and why.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    summed: ClassVar[Summed]
    terminal: ClassVar[tuple[str, ...]]
    cells: Sequence[Any]
    left_out: list[str]

    @abstractmethod
    def protocol(self) -> Record:
        """Settings that hold for every number."""

    @abstractmethod
    def key(self, cell: Any) -> Record:
        """Everything that changes a cell's numbers, as JSON."""

    @abstractmethod
    def measure(self, waiting: Mapping[Any, Path]) -> Iterator[Measured]:
        """Run the cells of a group; files of a cell go beside its path, named after its stem."""

    def remarks(self, records: Sequence[Record]) -> dict[str, list[str]]:
        """What a reader of the tables must know, by heading."""
        return self.summed.remarks(records)

    def groups(self) -> Iterable[list[Any]]:
        """Cells that are measured together: each alone unless a task shares work."""
        return ([cell] for cell in self.cells)

    def summary(self, record: Record) -> str:
        """A line of progress about a measured cell."""
        return "done"


@dataclass(frozen=True)
class Comparison:
    """All that was measured.

    Attributes:
        task: What was compared.
        protocol: The settings that hold for every number.
        records: A measured cell each: its names, key and what the task found.
        failures: A cell that failed each: its names, `error`, and `trace` if it was a bug.
    """

    task: Task
    protocol: Record = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    failures: list[Record] = field(default_factory=list)


def compare(task: Task, out: str | Path, *, progress: Progress = lambda _: None) -> Comparison:
    """Measure what has not been measured yet; a cell that fails is noted and the rest goes on.

    Args:
        task: What is compared.
        out: Folder of the finished cells.
        progress: Called with a line for every cell.

    Raises:
        InputError: If the place cannot be written.
    """
    run = _Run(task, check_writable(Path(out) / "cells"), progress)
    for group in task.groups():
        run.group(group)
    order = {cell: place for place, cell in enumerate(task.cells)}
    records, failures = (
        [found[cell] for cell in sorted(found, key=order.__getitem__)]
        for found in (run.records, run.failures)
    )
    return Comparison(task, task.protocol(), records, failures)


class _Run:
    """One pass over the cells."""

    def __init__(self, task: Task, store: Path, progress: Progress) -> None:
        self.task = task
        self.store = store
        self.progress = progress
        self.records: dict[Any, Record] = {}
        self.failures: dict[Any, Record] = {}
        self.places = {cell: number for number, cell in enumerate(task.cells, 1)}

    def group(self, cells: Sequence[Any]) -> None:
        """Read what is finished and measure the rest."""
        waiting = {}
        for cell in cells:
            try:
                path = self.store / f"{cell_key(self.task.key(cell))}.json"
            except Exception as error:  # a bug in one method must not cost the others their numbers
                self._fail(cell, error)
                continue
            record = read_cell(path)
            if record is None:
                waiting[cell] = path
            else:
                self._keep(cell, record, "measured before")
        if waiting:
            self._measure(waiting)

    def _measure(self, waiting: dict[Any, Path]) -> None:
        others = f" and {len(waiting) - 1} that share its work" if len(waiting) > 1 else ""
        self._say(next(iter(waiting)), f"{others} ...", mark="")
        try:
            for cell, found in self.task.measure(waiting):
                if isinstance(found, Exception):
                    self._fail(cell, found)
                    continue
                record = {"key": waiting[cell].stem, **cell.names(), **found}
                write_json(waiting[cell], record)
                self._keep(cell, record, self.task.summary(record))
        except Exception as error:  # as above
            for cell in waiting:
                if cell not in self.records and cell not in self.failures:
                    self._fail(cell, error)

    def _keep(self, cell: Any, record: Record, line: str) -> None:
        self.records[cell] = record | cell.names()
        self._say(cell, line)

    def _fail(self, cell: Any, error: Exception) -> None:
        self.failures[cell] = _failure(cell, error)
        self._say(cell, f"FAILED: {self.failures[cell]['error']}")

    def _say(self, cell: Any, line: str, mark: str = ": ") -> None:
        self.progress(f"[{self.places[cell]}/{len(self.places)}] {cell}{mark}{line}")


def cell_key(content: Record) -> str:
    """Hash of everything that changes a cell's numbers."""
    return hashlib.blake2b(json.dumps(content, sort_keys=True).encode(), digest_size=16).hexdigest()


def read_cell(path: Path) -> Record | None:
    """A finished cell with its undefined metrics as nan; ``None`` if there is none."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        metrics = record["metrics"]
        record["metrics"] = {k: float("nan") if v is None else v for k, v in metrics.items()}
    except (OSError, ValueError, KeyError, AttributeError):
        return None
    return record


def common_key(backbone: CLIPBackbone) -> Record:
    """What the checkpoint and this package's version contribute to every key."""
    advice = re.sub(r" at 0x\w+", "", repr(backbone.recommended))  # addresses of functions
    checkpoint = [backbone.fingerprint, str(backbone.dtype), advice]
    return {"version": __version__, "checkpoint": checkpoint}


def common_protocol(backbone: CLIPBackbone) -> Record:
    """What every protocol says of the checkpoint."""
    return {
        "model": backbone.name,
        "checkpoint": backbone.fingerprint,
        "precision": str(backbone.dtype).removeprefix("torch."),
    }


def name_roots(roots: Sequence[Path]) -> list[tuple[str, Path]]:
    """Name data sets by their folder, with as much of the path as tells them apart."""
    whole = [Path(root).resolve() for root in dict.fromkeys(roots)]
    named = []
    for root, given in zip(whole, dict.fromkeys(roots), strict=True):
        depth = 1
        while sum(other.parts[-depth:] == root.parts[-depth:] for other in whole) > 1:
            depth += 1
        named.append(("/".join(root.parts[-depth:]), Path(given)))
    return named


def file_digest(path: Path | None) -> str:
    """Hash of a file of learned parts; empty if there is none.

    Raises:
        InputError: If it does not exist.
    """
    if path is None:
        return ""
    if not path.is_file():
        raise InputError(f"no such file of learned parts: {path}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _failure(cell: Any, error: Exception) -> Record:
    kind = "" if isinstance(error, DenseError) else f"{type(error).__name__}: "
    failure = cell.names() | {
        "cell": str(cell),
        "error": f"{kind}{' '.join(str(error).split())}",
    }
    if kind:
        failure["trace"] = "".join(traceback.format_exception(error))
    return failure


def check_weights(chosen: Sequence[Method], weights: Mapping[str, Path]) -> None:
    """Every method has the learned parts it needs, and no file is left over.

    Raises:
        InputError: If not.
    """
    for method in chosen:
        if method.trained and method.name not in weights:
            raise InputError(f"{method.name} needs learned parts: --weights {method.name}=FILE")
    lost = sorted(set(weights) - {method.name for method in chosen})
    if lost:
        raise InputError(f"weights are given for {lost[0]}, which is not compared")
