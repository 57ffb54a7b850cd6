"""Any folder of pictures, with words and boxes where it has some: what needs no labels reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from dense.datasets._files import pictures, require_directory
from dense.datasets.captions import CaptionedSample, read_captions
from dense.datasets.coco import read_coco
from dense.errors import InputError
from dense.images import read_image
from dense.regions import check_boxes
from dense.structures import Sample


class PhotoFolder(Dataset[Sample]):
    """All pictures of a folder and of the folders in it.

    Where the folder has a `captions.jsonl`, its training pictures alone are taken, with their
    words. Where it has an `instances.json` (or `proposals` names one), pictures carry its boxes as
    proposals; the classes in it do not matter.

    Args:
        root: The folder.
        proposals: A file in COCO's format whose boxes are proposals, absolute or below the folder;
            ``None`` takes `instances.json` if it is there; ``""`` takes none.
        without: Sources of `captions.jsonl` to leave out.

    Raises:
        InputError: If there is no picture, or a file is not usable. A box outside its picture
            raises when its sample is read.
    """

    def __init__(
        self,
        root: str | Path,
        *,
        proposals: str | Path | None = None,
        without: tuple[str, ...] | list[str] = (),
    ) -> None:
        self.root = require_directory(Path(root), "the photos")
        listed = self.root / "captions.jsonl"
        self.texts: dict[Path, tuple[str, ...]] = {}
        if listed.is_file():
            records = [
                record
                for record in read_captions(listed)
                if record.split == "train" and record.source not in without
            ]
            self.paths = [record.path for record in records]
            self.texts = {record.path: record.texts for record in records}
        else:
            self.paths = pictures(self.root, recursive=True)
        if not self.paths:
            raise InputError(f"no pictures are left in {self.root}: expected photos, any layout")
        self.boxes = self._read_boxes(proposals)

    @property
    def words(self) -> tuple[str, ...]:
        """All different texts, sorted."""
        return tuple(sorted({text for row in self.texts.values() for text in row}))

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample:
        path = self.paths[index]
        sample = Sample(read_image(path), path)
        if path in self.texts:
            sample = CaptionedSample(sample.image, path, texts=self.texts[path])
        if path.name not in self.boxes:
            return sample
        boxes = check_boxes(self.boxes[path.name], sample.image_size, path.name)
        return replace(sample, boxes=boxes, box_labels=np.zeros(len(boxes), np.int64))

    def _read_boxes(self, given: str | Path | None) -> Mapping[str, NDArray[np.float32]]:
        if given == "":
            return {}
        path = self.root / (given or "instances.json")
        if given is None and not path.is_file():
            return {}
        _, records = read_coco(path)
        return {Path(record.file_name).name: record.boxes for record in records}
