"""What comparisons on folders of boxes share: which methods, which pictures, what they hold."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from dense.datasets import DetectionFolder
from dense.errors import InputError
from dense.evaluation.comparison.cells import check_weights, name_roots
from dense.methods.catalog import find_method, methods
from dense.methods.method import Method, Task


@dataclass(frozen=True)
class BoxCell:
    """One run: a method on a data set."""

    data: str
    root: Path
    method: Method

    def __str__(self) -> str:
        return f"{self.data}, {self.method.name}"

    def names(self) -> dict[str, str | int]:
        """What identifies the cell in a table."""
        return {"data": self.data, "method": self.method.name}


def method_cells(roots: Sequence[Path], chosen: Sequence[Method]) -> list[BoxCell]:
    """Every method on every data set, data set by data set."""
    return [BoxCell(data, root, method) for data, root in name_roots(roots) for method in chosen]


def choose_methods(task: Task, names: Sequence[str], weights: Mapping[str, Path]) -> list[Method]:
    """Rows of the catalogue by name; if none is named, all that have the learned parts they need.

    Raises:
        InputError: If a name is unknown, or learned parts are missing or given to none.
    """
    if names:
        found = [find_method(name, task) for name in dict.fromkeys(names)]
    else:
        found = [m for m in methods(task) if not m.trained or m.name in weights]
    check_weights(found, weights)
    return found


def open_folders(
    roots: Sequence[Path], limit: int | None, *, wanted: str
) -> dict[Path, DetectionFolder]:
    """Open data sets with boxes.

    Args:
        roots: Folders with images/ instances.json.
        limit: Pictures at most.
        wanted: What the boxes are for, for messages.

    Raises:
        InputError: If the limit is below 1, or a data set is broken or has no box.
    """
    if limit is not None and limit < 1:
        raise InputError(f"the limit must be 1 or more pictures, got {limit}")
    opened = {root: DetectionFolder(root) for root in roots}
    for root, folder in opened.items():
        if not any(len(record.boxes) for record in folder.records):
            raise InputError(f"{root} has no boxes {wanted}")
    return opened


def evenly(places: Sequence[int], limit: int | None) -> list[int]:
    """At most `limit` of some places, evenly spaced; all if ``None``."""
    take = len(places) if limit is None else min(limit, len(places))
    return [places[place * len(places) // take] for place in range(take)]


def chosen_pictures(folder: DetectionFolder, limit: int | None) -> list[int]:
    """Pictures with boxes, evenly spaced if there are more than the limit."""
    return evenly([n for n, record in enumerate(folder.records) if len(record.boxes)], limit)


def folder_digest(root: Path, folder: DetectionFolder, places: Sequence[int]) -> str:
    """Hash of the annotations, and of the pictures by name, size and time."""
    digest = blake2b(folder.annotations.read_bytes(), digest_size=16)
    for place in places:
        path = folder.paths[place]
        state, name = path.stat(), Path(os.path.relpath(path, root)).as_posix()
        digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()
