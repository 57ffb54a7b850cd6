"""The pictures of a test set that tell most about a method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.evaluation.comparison.cells import Record
from dense.evaluation.comparison.tables import grouped
from dense.images import read_image, write_image
from dense.report import Entry, Figure, Section
from dense.structures import Sample, Size

SIDE = 320
Picture = NDArray[np.uint8]
Result = TypeVar("Result")


@dataclass(frozen=True)
class Kept(Generic[Result]):
    """A picture that leads one kind, with the score shown beside it."""

    rank: float
    score: float
    sample: Sample
    result: Result


class Extremes(Generic[Result]):
    """Keeps the leading picture of each kind while results stream by.

    Args:
        kinds: What a picture may lead, in the order they are shown.
        draw: Makes the kept picture of a sample and its result, see `shrink`.
    """

    def __init__(self, kinds: Iterable[str], draw: Callable[[Sample, Result], Picture]) -> None:
        self._kinds = tuple(kinds)
        self._draw = draw
        self._kept: dict[str, Kept[Result]] = {}

    def see(self, ranks: Mapping[str, float], score: float, sample: Sample, result: Result) -> None:
        """Take note of a result: its rank among each kind it may lead, larger leads."""
        for kind, rank in ranks.items():
            if kind not in self._kept or rank > self._kept[kind].rank:
                self._kept[kind] = Kept(rank, score, sample, result)

    def write(self, stem: Path) -> list[Record]:
        """Draw what was kept into ``STEM_KIND.jpg``; list each file with kind, name and score."""
        written = []
        for kind in (kind for kind in self._kinds if kind in self._kept):
            kept = self._kept[kind]
            path = stem.with_name(f"{stem.name}_{kind}.jpg")
            write_image(path, self._draw(kept.sample, kept.result))
            source = "" if kept.sample.image_path is None else kept.sample.image_path.name
            written.append({"file": path.name, "kind": kind, "source": source, "score": kept.score})
        return written


def small_size(size: Size) -> Size:
    """(H, W) shrunk to `SIDE` at most, aspect kept."""
    share = min(1.0, SIDE / max(size))
    return max(1, round(size[0] * share)), max(1, round(size[1] * share))


def shrink(image: Picture) -> Picture:
    """A picture (H, W, 3) at `small_size`."""
    height, width = small_size((image.shape[0], image.shape[1]))
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def figures(pictures: list[Record], folder: Path, digits: int) -> list[Figure]:
    """Figures of what `Extremes.write` listed, of the files that are still there."""
    return [
        Figure(
            read_image(folder / p["file"]), f"{p['kind']}: {p['source']}, {p['score']:.{digits}f}"
        )
        for p in pictures
        if (folder / p["file"]).is_file()
    ]


def leading(
    records: Sequence[Record],
    folder: Path,
    kinds: Mapping[str, str],
    *,
    digits: int = 0,
    title: Callable[[Record], str] = lambda record: record["method"],
) -> list[Section]:
    """A section a data set, with the kept pictures of every cell.

    Args:
        records: The cells.
        folder: Where their pictures are.
        kinds: What a picture may lead, with its meaning.
        digits: Of the scores.
        title: Of a cell.
    """
    text = "; ".join(f"{kind}: {meaning}" for kind, meaning in kinds.items())
    found = []
    for names, group in grouped(records, ("data",)):
        shown = [(title(record), figures(record["pictures"], folder, digits)) for record in group]
        entries = [Entry(name, pictures) for name, pictures in shown if pictures]
        if entries:
            found.append(Section(names["data"], text, entries))
    return found
