"""Cameras that die, stall and come back; films that are read once."""

from __future__ import annotations

import functools
import http.server
import queue
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from dense.errors import InputError
from dense.inspection.backoff import Backoff
from dense.inspection.outbox import Journal
from dense.inspection.secrets import Secrets
from dense.inspection.sources import CameraSource, FilmSource, open_camera
from dense.inspection.sources.film import hash_frame
from dense.video import FilmWriter
from tests.inspection.line import body


def frame(level: int) -> np.ndarray:
    return np.full((8, 10, 3), level, np.uint8)


class FakeCapture:
    """Gives the frames of a script; ``None`` fails, an exception is raised, "stall" blocks."""

    def __init__(self, script: list, release: threading.Event) -> None:
        self.script, self.release, self.closed = list(script), release, False

    def read(self):
        if not self.script:
            return None
        step = self.script.pop(0)
        if step == "stall":
            self.release.wait(10)
            return None
        if isinstance(step, Exception):
            raise step
        time.sleep(0.02)
        return frame(step)

    def close(self) -> None:
        self.closed = True


class Plug:
    """Opens the captures of several scripts one after the other."""

    def __init__(self, *scripts: object) -> None:
        self.scripts, self.release = list(scripts), threading.Event()
        self.captures: list[FakeCapture] = []

    def __call__(self) -> FakeCapture:
        script = self.scripts.pop(0) if self.scripts else InputError("unplugged")
        if isinstance(script, Exception):
            raise script
        self.captures.append(FakeCapture(script, self.release))
        return self.captures[-1]


def levels(plug: Plug, count: int, **options: object) -> tuple[list[int], CameraSource]:
    """First pixels of the first `count` pictures."""
    backoff = Backoff(first=0.01, longest=0.05)
    source = CameraSource("test", plug, backoff=backoff, **{"buffer": 50, **options})
    stop, found = threading.Event(), []
    threading.Timer(8.0, stop.set).start()
    for picture in source.pictures(stop):
        found.append(int(picture.image[0, 0, 0]))
        if len(found) == count:
            stop.set()
    plug.release.set()
    return found, source


def test_unplugged_and_plugged_in_again(caplog):
    plug = Plug([1, 2], InputError("gone"), InputError("gone"), [3, 4])
    found, source = levels(plug, 4)
    assert found == [1, 2, 3, 4]
    assert source.counts()["reconnects"] == 3
    assert "camera test gives no pictures; connecting again until" in caplog.text
    assert caplog.text.count("camera test cannot be opened (gone); connecting again") == 1
    assert "camera test gives pictures again" in caplog.text
    assert plug.captures[0].closed


def test_a_driver_that_raises_is_survived(caplog):
    found, _ = levels(Plug([1, RuntimeError("usb reset")], [2]), 2)
    assert found == [1, 2]
    assert "failed (RuntimeError: usb reset)" in caplog.text


def test_a_read_that_never_returns_is_left_behind(caplog):
    plug = Plug([1, "stall"], [2])
    found, _ = levels(plug, 2, silence=0.3)
    assert found == [1, 2]
    assert "has been silent for 0.3 s" in caplog.text
    deadline = time.monotonic() + 2
    while not plug.captures[0].closed and time.monotonic() < deadline:
        time.sleep(0.01)
    assert plug.captures[0].closed  # closed when its read came back at last


def test_failed_reads_in_between_are_read_over():
    class Shaky(FakeCapture):
        def read(self):
            step = self.script.pop(0) if self.script else None
            return None if step is None else frame(step)

    plug = Plug()
    plug.__class__ = type(
        "P", (Plug,), {"__call__": lambda self: Shaky([1, None, 2], self.release)}
    )
    found, source = levels(plug, 2)
    assert found == [1, 2] and source.counts()["reconnects"] == 0


def test_a_slow_judge_sees_the_newest_frame_and_the_others_are_counted():
    ready = queue.Queue()

    class Fast(FakeCapture):
        def read(self):
            if not self.script:
                ready.put(True)
                self.release.wait(5)
                return None
            return frame(self.script.pop(0))

    plug = Plug()
    source = CameraSource("c", lambda: Fast([1, 2, 3, 4], plug.release), buffer=1)
    stop, found = threading.Event(), []
    generator = source.pictures(stop)
    ready_thread = threading.Thread(target=lambda: found.append(next(generator)))
    ready_thread.start()
    ready.get(timeout=5)
    ready_thread.join(5)
    stop.set()
    plug.release.set()
    list(generator)
    left_out = source.counts()["frames_left_out"]
    assert left_out + len(found) <= 4 and left_out >= 2


def test_interval_and_distinct_sources():
    plug = Plug([1, 2, 3, 4, 5, 6, 7, 8, 9, 10] * 3)
    begun = time.monotonic()
    source = CameraSource("c", plug, interval=0.1, buffer=1)
    stop, names = threading.Event(), []
    for picture in source.pictures(stop):
        names.append(picture.source)
        assert picture.mark is None
        if len(names) == 3:
            stop.set()
    assert time.monotonic() - begun >= 0.2
    assert len(set(names)) == 3 and all(name.startswith("c#") for name in names)


def test_numbers_that_make_no_sense():
    with pytest.raises(InputError, match="an interval from 0, a buffer from 1"):
        CameraSource("c", Plug(), buffer=0)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    with FilmWriter(path, rate=10) as writer:
        for level in (10, 60, 110, 160, 210):
            writer.write(np.full((32, 48, 3), level, np.uint8))
    return path


@pytest.fixture
def served(film):
    """The film as an HTTP stream."""
    handler = functools.partial(Quiet, directory=str(film.parent))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/{film.name}"
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_a_real_stream_through_opencv(served):
    """When the stream ends the camera is opened anew, and begins at its start."""
    name, opener = open_camera(served, Secrets(environment={}))
    source = CameraSource(name, opener, buffer=50, backoff=Backoff(first=0.01, longest=0.02))
    stop, found = threading.Event(), []
    threading.Timer(8.0, stop.set).start()
    for picture in source.pictures(stop):
        found.append(int(picture.image.mean()))
        if len(found) == 7:
            stop.set()
    for got, put in zip(found, [10, 60, 110, 160, 210, 10, 60], strict=True):
        assert abs(got - put) < 8
    assert source.counts()["reconnects"] == 1


def test_a_camera_that_is_not_there():
    _, opener = open_camera("97", Secrets(environment={}))
    with pytest.raises(InputError, match="gives no answer"):
        opener()


@pytest.mark.parametrize("address", ["", "camera", "/dev/video0", "rtsp:host"])
def test_addresses_of_another_form(address):
    with pytest.raises(InputError, match="a camera is an index such as 0"):
        open_camera(address, Secrets(environment={}))


def test_logins_stay_out_of_addresses_and_names(monkeypatch):
    with pytest.raises(InputError, match="DENSE_CAMERA_PASSWORD") as caught:
        open_camera("rtsp://me:secret@host/1", Secrets(environment={}))
    assert "secret@" not in str(caught.value)
    opened = []
    monkeypatch.setattr(
        "dense.inspection.sources.camera.CvCapture", lambda source, _: opened.append(source)
    )
    secrets = Secrets(environment={"DENSE_CAMERA_USERNAME": "me", "DENSE_CAMERA_PASSWORD": "a/b@"})
    name, opener = open_camera("rtsp://host:554/1", secrets)
    opener()
    assert opened == ["rtsp://me:a%2Fb%40@host:554/1"] and name == "rtsp://host:554/1"


def test_gstreamer_needs_an_opencv_that_has_it():
    import cv2

    if "GStreamer:                   YES" in cv2.getBuildInformation():
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(InputError, match="built without GStreamer"):
        open_camera("gst:videotestsrc ! appsink", Secrets(environment={}))


def test_every_frame_of_a_film_once_also_across_a_restart(film, tmp_path):
    journal = Journal(tmp_path / "state")
    stop, found = threading.Event(), []

    def go(limit: int) -> list[str]:
        names = []
        for picture in FilmSource(film, journal, every=2).pictures(stop):
            names.append(picture.source)
            assert picture.content_sha256 == hash_frame(picture.image)
            kept = body(len(found), content_sha256=picture.content_sha256)
            journal.record(kept, {"s": ()}, mark=picture.mark)
            if len(names) == limit:
                break
        return names

    assert go(2) == ["film.mp4#frame=0", "film.mp4#frame=2"]
    assert go(9) == ["film.mp4#frame=4"]
    assert go(9) == []
    journal.close()


def test_a_film_that_is_none(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(InputError, match="cannot open video"):
        FilmSource(tmp_path / "a.mp4", None)
