"""Frames in, frames out: files, cameras and streams through OpenCV.

Real recordings end early, have broken frames or no known length; the reader warns and goes on
where it can. The writer puts the finished film in place in one step.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError

Picture = NDArray[np.uint8]

_LOG = logging.getLogger(__name__)
_PATIENCE = 25
"""Unreadable frames in a row after which a video counts as ended."""


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: Place in the source, counted from 0 before skipping.
        seconds: Time in the source.
        image: (H, W, 3) uint8 RGB.
    """

    index: int
    seconds: float
    image: Picture


class FrameReader:
    """Iterate over every n-th frame of a file, a camera or a stream.

    Args:
        source: A file, a stream address such as ``"rtsp://host/stream"``, or a camera index.
        every: Keep one frame of this many.
        limit: Stop after this many kept frames.

    Raises:
        InputError: If the source cannot be opened or the numbers make no sense.
    """

    def __init__(
        self, source: str | int | Path, *, every: int = 1, limit: int | None = None
    ) -> None:
        if every < 1 or (limit is not None and limit < 1):
            raise InputError(f"frame skipping needs whole numbers from 1, got {every} and {limit}")
        self.source, self.every, self.limit = source, every, limit
        self.broken = 0
        self._capture = _open(source)
        rate = float(self._capture.get(cv2.CAP_PROP_FPS))
        self.rate = rate if 0.1 <= rate <= 1000 else 25.0
        count = int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self.frame_count = count if 0 < count < 10**9 else None

    @property
    def expected(self) -> int | None:
        """How many frames will be kept, if the source tells its length."""
        if self.frame_count is None:
            return self.limit
        kept = -(-self.frame_count // self.every)
        return kept if self.limit is None else min(kept, self.limit)

    def __iter__(self) -> Iterator[Frame]:
        index, kept, failed = 0, 0, 0
        while self.limit is None or kept < self.limit:
            image = self._next(wanted=index % self.every == 0)
            if image is None:
                failed += 1
                if self._ended(index, failed):
                    self._tell_early_end(index + 1 - failed)
                    break
            else:
                self.broken += failed
                failed = 0
                if image.size:
                    kept += 1
                    yield Frame(index, index / self.rate, image)
            index += 1
        if self.broken:
            _LOG.warning("%s: %d broken frames were skipped", self.source, self.broken)
        self.close()

    def close(self) -> None:
        """Let go of the file or camera."""
        self._capture.release()

    def _next(self, *, wanted: bool) -> Picture | None:
        """Return the next frame, an empty array for a skipped one, ``None`` for a broken one."""
        try:
            if not self._capture.grab():
                return None
            if not wanted:
                return np.zeros((0, 0, 3), np.uint8)
            good, bgr = self._capture.retrieve()
        except cv2.error:
            return None
        if not good or bgr is None or not bgr.size:
            return None
        if bgr.ndim == 2:
            bgr = cv2.cvtColor(bgr, cv2.COLOR_GRAY2BGR)
        return cv2.cvtColor(np.ascontiguousarray(bgr, np.uint8), cv2.COLOR_BGR2RGB).astype(np.uint8)

    def _ended(self, index: int, failed: int) -> bool:
        past_end = self.frame_count is not None and index >= self.frame_count
        return past_end or failed >= _PATIENCE

    def _tell_early_end(self, seen: int) -> None:
        if self.frame_count is not None and seen < self.frame_count:
            _LOG.warning(
                "%s ends early: %d of %d frames could be read", self.source, seen, self.frame_count
            )


class FilmWriter:
    """Write an mp4 in a ``with`` block; the file appears when the block ends without an error.

    Args:
        path: Where the film goes; ``.mp4``.
        rate: Frames a second.

    Raises:
        InputError: If the place cannot be written or no frame came.
    """

    def __init__(self, path: str | Path, *, rate: float) -> None:
        self.path, self.rate, self.count = Path(path), rate, 0
        if self.path.suffix.lower() != ".mp4":
            raise InputError(f"films are written as .mp4, got {self.path}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(suffix=".mp4", dir=self.path.parent)
            os.close(handle)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror or error}") from error
        self._temporary = Path(name)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        try:
            interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
            if self.count and (kind is None or interrupted):
                self._temporary.chmod(0o644)
                self._temporary.replace(self.path)
        finally:
            self._temporary.unlink(missing_ok=True)
        if kind is None and not self.count:
            raise InputError(f"no frame could be read, so {self.path} was not written")

    def write(self, image: Picture) -> None:
        """Append a frame (H, W, 3) RGB; later frames are fitted to the size of the first."""
        height, width = image.shape[:2]
        if self._writer is None:
            self._size = (max(2, height + height % 2), max(2, width + width % 2))
            code = cv2.VideoWriter.fourcc(*"mp4v")
            size = (self._size[1], self._size[0])
            self._writer = cv2.VideoWriter(str(self._temporary), code, self.rate, size)
            if not self._writer.isOpened():
                raise InputError(f"cannot encode {self.path}: OpenCV has no mp4 encoder here")
        frame = np.zeros((*self._size, 3), np.uint8)
        part = image[: self._size[0], : self._size[1]]
        frame[: part.shape[0], : part.shape[1]] = part
        self._writer.write(cv2.cvtColor(frame, cv2.COLOR_RGB2BGR))
        self.count += 1


def _open(source: str | int | Path) -> cv2.VideoCapture:
    text = str(source)
    if text.isdigit():
        capture, kind = cv2.VideoCapture(int(text)), "camera"
    else:
        kind = "stream" if "://" in text else "video"
        path = Path(text)
        if kind == "video":
            if not path.is_file():
                raise InputError(f"no such video: {text}")
            if path.stat().st_size == 0:
                raise InputError(f"video file is empty (zero bytes): {text}")
        capture = cv2.VideoCapture(text)
    if not capture.isOpened():
        capture.release()
        raise InputError(f"cannot open {kind} {text}: not readable by OpenCV here")
    return capture
