"""Some classes of a detection data set: what a detector may learn, e.g. OV-COCO's base classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch.utils.data import Dataset

from dense.datasets.folder import DetectionFolder
from dense.errors import InputError, unknown_name
from dense.structures import Sample


class ClassSubset(Dataset[Sample]):
    """Pictures that show chosen classes, with the boxes of these classes alone.

    Args:
        dataset: Pictures with boxes.
        classes: Their names; label k is the k-th of them. All classes if ``None``.

    Raises:
        InputError: If a name is not among the data set's, or no picture has a box of them.
    """

    def __init__(self, dataset: DetectionFolder, classes: Sequence[str] | None = None) -> None:
        self.dataset = dataset
        self.names = tuple(dataset.names if classes is None else classes)
        index = {name: place for place, name in enumerate(dataset.names)}
        lost = [name for name in self.names if name not in index]
        if lost:
            raise unknown_name("class of the data set", lost[0], index)
        self.place = np.full(len(index), -1, np.int64)
        self.place[[index[name] for name in self.names]] = np.arange(len(self.names))
        rows = enumerate(dataset.records)
        self.kept = [n for n, record in rows if (self.place[record.labels] >= 0).any()]
        if not self.kept:
            raise InputError(
                f"no picture of {dataset.annotations} has a box of {', '.join(self.names[:5])}: "
                "there is nothing to learn from"
            )

    @property
    def metainfo(self) -> Mapping[str, object]:
        """`classes`: the chosen names in index order."""
        return {"classes": self.names}

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> Sample:
        sample = self.dataset[self.kept[index]]
        record = self.dataset.records[self.kept[index]]
        labels = self.place[record.labels]
        kept = labels >= 0
        return replace(sample, boxes=record.boxes[kept], box_labels=labels[kept])
