"""What a comparison of explanations is made of: the settings and the list of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dense.datasets import DetectionFolder
from dense.evaluation.comparison.box_data import BoxCell, choose_methods, method_cells, open_folders
from dense.prompts import readable_name


@dataclass(frozen=True)
class ExplainSetup:
    """What is compared, and how.

    Attributes:
        roots: Folders with images/ instances.json.
        methods: Names of the catalogue; all if empty.
        limit: Pictures of a data set at most, evenly spaced.
        steps: Points of a deletion or insertion curve less one.
        orders: Random orders of the patches of each picture.
        redrawn: Pictures, evenly spaced, whose maps are held against those of random weights.
        pictures: Keep the pictures that go best and worst.
    """

    roots: Sequence[Path]
    methods: Sequence[str] = ()
    limit: int | None = None
    steps: int = 8
    orders: int = 5
    redrawn: int = 8
    pictures: bool = True


def plan(setup: ExplainSetup) -> tuple[list[BoxCell], dict[Path, DetectionFolder]]:
    """List the cells, data set by data set, and open the data sets.

    Raises:
        InputError: If a name, number or data set is wrong.
    """
    chosen = choose_methods("explain", setup.methods, {})
    opened = open_folders(setup.roots, setup.limit, wanted="whose names make the sentences")
    return method_cells(setup.roots, chosen), opened


def sentence_of(folder: DetectionFolder, place: int) -> str:
    """The sentence "a photo of a NAME" of the class whose boxes cover most of a picture."""
    record = folder.records[place]
    sides = record.boxes[:, 2:] - record.boxes[:, :2]
    area = np.bincount(record.labels, sides.prod(1), len(folder.names))
    return f"a photo of a {readable_name(folder.names[int(area.argmax())])}"
