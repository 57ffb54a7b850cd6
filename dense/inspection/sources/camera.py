"""Cameras and streams that may be unplugged, stall or go away, and come back.

A thread of its own takes frames from the camera, so that the picture that is judged is the newest
one, not one that waited in a buffer. When the camera falls silent it is opened again, at growing
intervals, until it is back.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError
from dense.inspection.backoff import Backoff
from dense.inspection.secrets import Secrets
from dense.inspection.sources.base import Picture, Unread
from dense.inspection.sources.film import hash_frame
from dense.inspection.sources.untrusted import printable_name

_LOG = logging.getLogger(__name__)
_BAD_READS = 25
"""Failed reads in a row after which a connection counts as lost."""


class Capture(Protocol):
    """An open camera."""

    def read(self) -> NDArray[np.uint8] | None:
        """Wait for the next frame (H, W, 3) uint8 RGB; ``None`` if this one failed."""

    def close(self) -> None:
        """Let go of the camera."""


class CameraSource:
    """Yield frames of a camera until stopped, across disconnections.

    Args:
        name: Names the camera in decisions and messages.
        opener: Opens it, or raises an `InputError`.
        interval: Least seconds between two pictures; 0 takes every frame that there is time for.
        buffer: Frames that may wait while one is judged. With 1 the newest is judged and older
            ones are left out; a triggered camera, whose every frame is a part, needs room for its
            bursts. Frames that found no room are counted.
        silence: Seconds without a frame after which the camera is opened anew.
        backoff: Pauses between attempts.
    """

    def __init__(
        self,
        name: str,
        opener: Callable[[], Capture],
        *,
        interval: float = 0.0,
        buffer: int = 1,
        silence: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        if interval < 0 or buffer < 1 or silence <= 0:
            raise InputError(
                "a camera needs an interval from 0, a buffer from 1 and a silence above 0, got "
                f"{interval:g}, {buffer} and {silence:g}"
            )
        self.name, self.opener = f"camera {name}", opener
        self.interval, self.buffer, self.silence = interval, buffer, silence
        self.backoff = backoff or Backoff(first=0.5, longest=30.0)
        self._label = name
        self._run = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%S.%f")
        self._counts = {"reconnects": 0, "frames_left_out": 0}

    def counts(self) -> dict[str, int]:
        """Reconnections, and frames that nobody had time to judge."""
        return dict(self._counts)

    def pictures(self, stop: threading.Event) -> Iterator[Picture | Unread]:
        """Yield frames as they come."""
        number, due, told = itertools.count(), 0.0, ""
        while not stop.is_set():
            grabber = _Grabber(self.opener, self.buffer)
            grabber.start()
            try:
                for image in self._frames(grabber, stop):
                    if told:
                        _LOG.warning("%s gives pictures again", self.name)
                        told = ""
                    now = time.monotonic()
                    if now < due:
                        continue
                    due = now + self.interval
                    self.backoff.reset()
                    source = f"{self._label}#{self._run}-{next(number)}"
                    yield Picture(source, hash_frame(image), image)
            finally:
                grabber.leave()
                self._counts["frames_left_out"] += grabber.left_out
            if not stop.is_set():
                self._counts["reconnects"] += 1
                if grabber.problem != told:
                    told = grabber.problem
                    _LOG.warning("%s %s; connecting again until it answers", self.name, told)
                stop.wait(self.backoff.next())

    def _frames(self, grabber: _Grabber, stop: threading.Event) -> Iterator[NDArray[np.uint8]]:
        """Frames of one connection; returns when it is lost."""
        while not stop.is_set():
            image = grabber.take(min(self.silence, 1.0))
            if image is not None:
                yield image
            elif grabber.ended:
                return
            elif time.monotonic() - grabber.heard > self.silence:
                grabber.problem = f"has been silent for {self.silence:g} s"
                return


class _Grabber(threading.Thread):
    """Reads one connection; a read that never returns leaves only this thread behind."""

    def __init__(self, opener: Callable[[], Capture], buffer: int) -> None:
        super().__init__(name="camera", daemon=True)
        self.opener = opener
        self.frames: deque[NDArray[np.uint8]] = deque(maxlen=buffer)
        self.changed = threading.Condition()
        self.left_out, self.ended, self.left = 0, False, False
        self.heard, self.problem = time.monotonic(), "gives no pictures"

    def run(self) -> None:
        capture = None
        try:
            capture = self.opener()
            self._read(capture)
        except InputError as error:
            self.problem = f"cannot be opened ({error})"
        except Exception as error:
            self.problem = f"failed ({type(error).__name__}: {error})"
        finally:
            if capture is not None:
                capture.close()
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def _read(self, capture: Capture) -> None:
        bad = 0
        while not self.left and bad < _BAD_READS:
            image = capture.read()
            if image is None:
                bad += 1
                time.sleep(0.01)
                continue
            bad = 0
            with self.changed:
                self.left_out += len(self.frames) == self.frames.maxlen
                self.frames.append(image)
                self.heard = time.monotonic()
                self.changed.notify_all()

    def take(self, wait: float) -> NDArray[np.uint8] | None:
        """The oldest waiting frame; ``None`` if none came within `wait` seconds."""
        with self.changed:
            if not self.frames and not self.ended:
                self.changed.wait(wait)
            return self.frames.popleft() if self.frames else None

    def leave(self) -> None:
        """Close the camera as soon as its last read returns."""
        self.left = True


def open_camera(address: str, secrets: Secrets) -> tuple[str, Callable[[], Capture]]:
    """Read a camera's address: its name for people, and what opens it.

    Args:
        address: An index (``0``), a stream (``rtsp://host/path``, ``http://…``), or
            ``gst:PIPELINE`` ending in an appsink.
        secrets: ``CAMERA_USERNAME`` and ``CAMERA_PASSWORD`` log in to a stream.

    Raises:
        InputError: If it is none of these, or a password stands in it.
    """
    import cv2

    if address.startswith("gst:"):
        if "GStreamer:                   YES" not in cv2.getBuildInformation():
            raise InputError(
                "this OpenCV was built without GStreamer: use one that was built with it (the "
                "system's python3-opencv on Debian), or an rtsp:// address"
            )
        return "gst", lambda: CvCapture(address[4:], cv2.CAP_GSTREAMER)
    if address.isdigit():
        return f"camera-{address}", lambda: CvCapture(int(address), cv2.CAP_ANY)
    parts = urlsplit(address)
    if not parts.scheme or not parts.hostname:
        raise InputError(
            f"a camera is an index such as 0, an address such as rtsp://host/path, or "
            f"gst:PIPELINE, got {printable_name(address)!r}"
        )
    secrets.refuse_in_address(address, "CAMERA")
    user, password = secrets.find("CAMERA_USERNAME"), secrets.find("CAMERA_PASSWORD")
    if user:
        login = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
        parts = parts._replace(netloc=f"{login}@{parts.netloc}")
    return printable_name(address), lambda: CvCapture(urlunsplit(parts), cv2.CAP_FFMPEG)


class CvCapture:
    """OpenCV's camera behind `Capture`.

    Args:
        source: Index, address or pipeline.
        backend: OpenCV's number of the library that reads it.

    Raises:
        InputError: If it cannot be opened.
    """

    def __init__(self, source: str | int, backend: int) -> None:
        os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
        os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
        import cv2

        limits = []
        if backend == cv2.CAP_FFMPEG:
            limits = [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                10_000,
                cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                10_000,
            ]
        self._cv2 = cv2
        self._capture = cv2.VideoCapture(source, backend, limits)
        if not self._capture.isOpened():
            self._capture.release()
            raise InputError("it gives no answer, or not one that OpenCV understands")

    def read(self) -> NDArray[np.uint8] | None:
        good, image = self._capture.read()
        if not good or image is None or not image.size:
            return None
        code = self._cv2.COLOR_GRAY2RGB if image.ndim == 2 else self._cv2.COLOR_BGR2RGB
        return np.asarray(self._cv2.cvtColor(image, code), np.uint8)

    def close(self) -> None:
        self._capture.release()
