"""The pictures and words of a segmentation data set, in parts that are measured one by one."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from PIL import Image

from dense.datasets import SegmentationFolder
from dense.errors import InputError, unknown_name
from dense.evaluation.segmentation import VOC_NAMES, present_classes
from dense.prompts import ClassList, make_class_list, readable_name
from dense.structures import Sample

PART = 64
"""Pictures of a cell: what an interruption costs at most, and what is in one pass."""

VOCABULARIES = {
    "present": "the classes that occur in some mask",
    "all": "every class of classes.json",
    "voc": "those of the present classes that Pascal VOC has, under COCO's names",
}


@dataclass(frozen=True)
class Vocabulary:
    """Classes that a data set is segmented into.

    Attributes:
        indices: Class indices of the masks, in order; pixels of other classes are ignored.
        words: Their words.
    """

    indices: tuple[int, ...]
    words: ClassList


class SegmentData:
    """A folder data set cut into parts of `PART` pictures.

    Pictures are ordered by size, so that batches are full although sizes are mixed.

    Args:
        root: Folder with images/ masks/ classes.json.
        limit: Pictures at most, evenly spaced; ``None`` takes all.

    Raises:
        InputError: If the layout is not as described, or the limit is below 1.
    """

    def __init__(self, root: Path, *, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise InputError(f"the limit must be 1 or more pictures, got {limit}")
        self.root = root
        self.folder = SegmentationFolder(root)
        count = len(self.folder)
        take = count if limit is None else min(limit, count)
        chosen = [place * count // take for place in range(take)]
        self.order = sorted(chosen, key=lambda index: (_size(self.folder.pairs[index][0]), index))

    @property
    def parts(self) -> int:
        """Number of parts."""
        return -(-len(self.order) // PART)

    def batches(self, part: int, size: int) -> Iterator[list[Sample]]:
        """Pictures of a part, `size` at once."""
        indices = self._part(part)
        for start in range(0, len(indices), size):
            yield [self.folder[index] for index in indices[start : start + size]]

    def fingerprint(self, part: int) -> str:
        """Hash of what a part holds: the class file, and files with sizes and times."""
        digest = hashlib.blake2b((self.root / "classes.json").read_bytes(), digest_size=16)
        for index in self._part(part):
            for path in self.folder.pairs[index]:
                state, name = path.stat(), Path(os.path.relpath(path, self.root)).as_posix()
                digest.update(f"{name} {state.st_size} {state.st_mtime_ns}\n".encode())
        return digest.hexdigest()

    def vocabulary(self, name: str, background: Sequence[str] = ()) -> Vocabulary:
        """The classes of one of `VOCABULARIES`.

        Args:
            name: Which.
            background: Words of the class named "background".

        Raises:
            InputError: If fewer than two classes are left.
        """
        check_vocabulary(name)
        names = self.folder.labels.names
        indices = list(range(len(names))) if name == "all" else self._present
        if name == "voc":
            indices = [k for k in indices if names[k] in VOC_NAMES]
        if len(indices) < 2:
            raise InputError(
                f"{self.root}: segmentation needs at least 2 classes, but the vocabulary "
                f"{name!r} has {len(indices)}: {VOCABULARIES[name]}"
            )
        words = make_class_list([readable_name(names[k]) for k in indices])
        if "background" not in words.names:
            return Vocabulary(tuple(indices), words)
        place = words.names.index("background")
        phrases = list(words.phrases)
        phrases[place] = tuple(background) or phrases[place]
        return Vocabulary(tuple(indices), ClassList(words.names, tuple(phrases), place))

    def _part(self, part: int) -> list[int]:
        return self.order[part * PART : (part + 1) * PART]

    @cached_property
    def _present(self) -> list[int]:
        return present_classes(self.folder)


def check_vocabulary(name: str) -> None:
    """Refuse a vocabulary that does not exist.

    Raises:
        InputError: If there is none of that name.
    """
    if name not in VOCABULARIES:
        raise unknown_name("vocabulary", name, VOCABULARIES)


def _size(path: Path) -> tuple[int, int]:
    """(W, H) from the file's head; unreadable files go first and fail when they are read."""
    try:
        with Image.open(path) as picture:
            return picture.size
    except OSError:
        return (0, 0)
