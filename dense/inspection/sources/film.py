"""A video file, frame by frame, each once also across restarts."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.inspection.sources.base import Ledger, Mark, Picture, Unread
from dense.inspection.sources.untrusted import printable_name
from dense.video import FrameReader


def hash_frame(image: NDArray[np.uint8]) -> str:
    """SHA-256 of the size (H, W, 3) and the pixels of a frame."""
    digest = hashlib.sha256(repr(image.shape).encode())
    digest.update(np.ascontiguousarray(image).data)
    return digest.hexdigest()


class FilmSource:
    """Yield every n-th frame of a video file; ends with it.

    Args:
        path: The file.
        ledger: Remembers the last frame that was decided.
        every: Keep one frame of this many.

    Raises:
        InputError: If the file cannot be opened.
    """

    def __init__(self, path: str | Path, ledger: Ledger, *, every: int = 1) -> None:
        self.path, self.ledger, self.every = Path(path).resolve(), ledger, every
        self.reader = FrameReader(self.path, every=every)
        self.name = f"film {printable_name(str(self.path))}"

    def counts(self) -> dict[str, int]:
        """Frames that could not be decoded."""
        return {"broken_frames": self.reader.broken}

    def pictures(self, stop: threading.Event) -> Iterator[Picture | Unread]:
        """Yield the frames that were not decided before."""
        status, place = self.path.stat(), printable_name(self.path.name)
        film = f"{status.st_size}:{status.st_mtime_ns}"
        seen = self.ledger.find(place)
        before, _, last = ("", "", "") if seen is None else seen.stamp.rpartition("@")
        first = int(last) + 1 if before == film else 0
        for frame in self.reader:
            if stop.is_set():
                self.reader.close()
                return
            if frame.index >= first:
                yield Picture(
                    f"{place}#frame={frame.index}",
                    hash_frame(frame.image),
                    frame.image,
                    Mark(place, f"{film}@{frame.index}"),
                )
