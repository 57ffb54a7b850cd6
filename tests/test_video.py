"""Films written, read, skipped through, cut short and broken."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from dense.errors import InputError
from dense.video import FilmWriter, FrameReader


def _grey(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    return np.full((*size, 3), level, np.uint8)


@pytest.fixture
def film(tmp_path):
    """Twenty grey frames, frame k of level 10 k, at 10 a second."""
    path = tmp_path / "film.mp4"
    with FilmWriter(path, rate=10) as writer:
        for k in range(20):
            writer.write(_grey(10 * k))
    return path


def test_round_trip(film):
    reader = FrameReader(film)
    assert reader.rate == pytest.approx(10) and reader.expected == 20
    frames = list(reader)
    assert [frame.index for frame in frames] == list(range(20))
    assert frames[7].seconds == pytest.approx(0.7)
    for frame in frames:
        assert frame.image.shape == (48, 64, 3)
        assert np.abs(frame.image.astype(int) - 10 * frame.index).max() <= 6
    assert [path.name for path in film.parent.iterdir()] == ["film.mp4"]


def test_channels_are_rgb(tmp_path):
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    with FilmWriter(tmp_path / "red.mp4", rate=5) as writer:
        writer.write(red)
    mean = next(iter(FrameReader(tmp_path / "red.mp4"))).image.mean((0, 1))
    assert mean[0] > 180 and mean[1] < 30 and mean[2] < 30


@pytest.mark.parametrize(
    ("every", "limit", "kept"),
    [(6, None, [0, 6, 12, 18]), (1, 3, [0, 1, 2]), (7, 2, [0, 7]), (50, None, [0])],
)
def test_skipping_and_limit(film, caplog, every, limit, kept):
    reader = FrameReader(film, every=every, limit=limit)
    assert reader.expected == len(kept)
    assert [frame.index for frame in reader] == kept
    assert not caplog.records


def test_truncated_film_warns_and_keeps_what_there_is(tmp_path, caplog):
    import cv2

    path, short = tmp_path / "a.avi", tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    rng = np.random.default_rng(0)
    for _ in range(40):
        writer.write(rng.integers(0, 255, (48, 64, 3), np.uint8))
    writer.release()
    short.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING, "dense"):
        frames = list(FrameReader(short))
    assert 5 < len(frames) < 40
    assert "ends early" in caplog.text


def test_broken_frames_are_skipped_with_a_warning(film, caplog):
    reader = FrameReader(film)
    real, calls = reader._next, []

    def broken(*, wanted):
        calls.append(1)
        image = real(wanted=wanted)
        return None if len(calls) in (4, 5) else image

    reader._next = broken
    with caplog.at_level(logging.WARNING, "dense"):
        frames = list(reader)
    assert [f.index for f in frames] == [k for k in range(20) if k not in (3, 4)]
    assert reader.broken == 2 and "2 broken frames" in caplog.text


def test_an_endless_stream_of_broken_frames_ends(film):
    reader = FrameReader(film)
    reader.frame_count = None
    reader._next = lambda *, wanted: None
    assert list(reader) == []


@pytest.mark.parametrize("content", [b"", b"no film at all" * 100])
def test_unreadable_files(tmp_path, content):
    path = tmp_path / "bad.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"bad\.mp4"):
        FrameReader(path)


def test_missing_sources_and_wrong_numbers(tmp_path, film):
    with pytest.raises(InputError, match="no such video"):
        FrameReader(tmp_path / "gone.mp4")
    with pytest.raises(InputError, match="cannot open camera 97"):
        FrameReader("97")
    with pytest.raises(InputError, match="whole numbers from 1"):
        FrameReader(film, every=0)


def test_nothing_half_written(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(RuntimeError), FilmWriter(path, rate=10) as writer:
        writer.write(_grey(1))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match="no frame could be read"), FilmWriter(path, rate=10):
        pass
    assert list(tmp_path.iterdir()) == []


def test_interruption_keeps_the_frames_so_far(tmp_path):
    path = tmp_path / "film.mp4"
    with pytest.raises(KeyboardInterrupt), FilmWriter(path, rate=10) as writer:
        writer.write(_grey(50))
        raise KeyboardInterrupt
    assert len(list(FrameReader(path))) == 1


def test_odd_sizes_and_a_change_of_size_fit(tmp_path):
    path = tmp_path / "film.mp4"
    with FilmWriter(path, rate=10) as writer:
        writer.write(_grey(90, (31, 45)))
        writer.write(_grey(90, (60, 20)))
    assert [frame.image.shape for frame in FrameReader(path)] == [(32, 46, 3)] * 2


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write"):
        FilmWriter(tmp_path / "file" / "a.mp4", rate=10)
    with pytest.raises(InputError, match=r"written as \.mp4"):
        FilmWriter(tmp_path / "a.avi", rate=10)
