"""The watched folder: each part once, nothing half-written, nothing from outside."""

from __future__ import annotations

import io
import os
import shutil
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.errors import InputError
from dense.inspection.sources import FolderSource, Mark, Unread
from dense.inspection.sources.base import Seen
from dense.inspection.sources.untrusted import decode_untrusted, looks_whole, printable_name
from tests.inspection.line import save_part


class Memory:
    """A ledger that forgets nothing until the test ends."""

    def __init__(self) -> None:
        self.rows: dict[str, Seen] = {}

    def find(self, place):
        return self.rows.get(place)

    def with_stamp(self, stamp):
        return [row for row in self.rows.values() if row.stamp == stamp]

    def remember(self, mark: Mark, content_sha256: str) -> None:
        self.rows[mark.place] = Seen(mark.place, mark.stamp, content_sha256)


class Watching:
    """A source over a made-up clock; `look` gives what one look at the folder yields."""

    def __init__(self, folder: Path, **options: object) -> None:
        self.now, self.ledger, self.folder = 0.0, Memory(), folder
        folder.mkdir(exist_ok=True)
        self.options = {"settle": 1.0, "patience": 10.0, **options}
        self.restart()

    def restart(self) -> None:
        self.source = FolderSource(
            self.folder, self.ledger, clock=lambda: self.now, poll=0.0, **self.options
        )

    def look(self, wait: float = 0.0, *, keep: bool = True) -> list:
        """Let time pass, look once, and decide what came."""
        self.now += wait
        found = [self.source._take(place) for place in self.source._look()]
        found = [entry for entry in found if entry is not None]
        for entry in found if keep else []:
            self.ledger.remember(entry.mark, entry.content_sha256)
        return found

    def sources(self, wait: float = 2.0) -> list[str]:
        """Look twice, as a file must have been seen before it has settled."""
        self.look()
        return [entry.source for entry in self.look(wait)]


@pytest.fixture
def line(tmp_path: Path) -> Watching:
    return Watching(tmp_path / "parts")


def test_new_files_come_once_the_oldest_first(line):
    for place, name in enumerate(("c.png", "a.jpg", "b.bmp")):
        path = save_part(line.folder / name, 10, seed=place)
        os.utime(path, (1000 + place, 1000 + place))
    assert line.sources() == ["c.png", "a.jpg", "b.bmp"]
    assert line.sources() == []
    save_part(line.folder / "d.png", 10, seed=9)
    assert line.sources() == ["d.png"]


def test_once_also_across_a_restart(line):
    save_part(line.folder / "a.png", 10)
    assert line.sources() == ["a.png"]
    line.restart()
    assert line.sources() == []


def test_not_kept_comes_again_after_a_restart(line):
    save_part(line.folder / "a.png", 10)
    line.look()
    assert len(line.look(2.0, keep=False)) == 1
    line.restart()
    assert line.sources() == ["a.png"]


def test_waits_until_size_and_time_rest(line):
    whole = save_part(line.folder / "a.png", 10).read_bytes()
    path = line.folder / "a.png"
    for count in (10, 200, len(whole) - 1):
        path.write_bytes(whole[:count])
        os.utime(path, (count, count))
        assert line.look(5.0) == []
    path.write_bytes(whole)
    assert line.look(0.1) == []  # just changed
    assert [entry.source for entry in line.look(1.0)] == ["a.png"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif", ".webp"])
def test_a_writer_that_pauses_is_waited_for(line, suffix):
    path = save_part(line.folder / f"a{suffix}", 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert line.sources(5.0) == []  # settled, but not whole
    path.write_bytes(whole)
    os.utime(path, (5, 5))
    assert line.sources() == [f"a{suffix}"]


def test_a_file_that_stays_broken_is_refused_once(line, caplog):
    path = save_part(line.folder / "a.png", 10)
    path.write_bytes(path.read_bytes()[:100])
    assert line.sources(2.0) == []
    (found,) = line.look(8.5)
    assert isinstance(found, Unread) and "cannot read a.png as an image" in found.reason
    assert caplog.text.count("refused: ") == 1
    line.restart()
    assert line.sources(20.0) == [] and line.look(20.0) == []


def test_jpeg_without_its_end_is_waited_for_then_judged(line):
    """A file that was given its length first decodes with a grey rest."""
    path = save_part(line.folder / "a.jpg", 10)
    whole = path.read_bytes()
    path.write_bytes(whole[: -len(whole) // 8] + bytes(len(whole) // 8))
    assert not looks_whole(path.read_bytes(), "a.jpg") and looks_whole(whole, "a.jpg")
    assert line.sources(2.0) == []
    path.write_bytes(whole)
    os.utime(path, (5, 5))
    (found,) = line.look(0.0) or line.look(2.0)
    assert found.content_sha256 and found.image.shape == (12, 16, 3)


def test_overwritten_with_other_content_is_another_part(line):
    path = save_part(line.folder / "a.png", 10, seed=0)
    line.look()
    (first,) = line.look(2.0)
    save_part(path, 10, seed=1)
    line.look()
    (second,) = line.look(2.0)
    assert first.source == second.source and first.content_sha256 != second.content_sha256


def test_touched_or_written_anew_with_the_same_content_is_not(line):
    path = save_part(line.folder / "a.png", 10)
    assert line.sources() == ["a.png"]
    os.utime(path, (5, 5))
    assert line.sources() == []
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)
    assert line.sources() == [] and line.source.counts()["unchanged"] == 2
    line.restart()
    assert line.sources() == [] and line.source.counts()["unchanged"] == 0


def test_renamed_is_the_same_part_and_a_copy_is_another(line):
    path = save_part(line.folder / "a.png", 10)
    assert line.sources() == ["a.png"]
    path.rename(line.folder / "b.png")
    assert line.sources() == [] and line.source.counts()["renamed"] == 1
    shutil.copy2(line.folder / "b.png", line.folder / "c.png")
    assert line.sources() == ["c.png"]


def test_hidden_files_other_suffixes_and_folders_are_left_out(line):
    save_part(line.folder / ".hidden.png", 10)
    save_part(line.folder / "sub" / "deep.png", 10)
    (line.folder / "notes.txt").write_text("no picture")
    (line.folder / "folder.png").mkdir()
    os.mkfifo(line.folder / "pipe.png")
    assert line.sources() == []
    line.options["recursive"] = True
    line.restart()
    assert line.sources() == ["sub/deep.png"]


def test_links_out_of_the_folder_are_refused_and_told_once(line, tmp_path, caplog):
    outside = save_part(tmp_path / "secret.png", 10)
    save_part(line.folder / "in.png", 10)
    (line.folder / "out.png").symlink_to(outside)
    (line.folder / "inner.png").symlink_to(line.folder / "in.png")
    (line.folder / "loop.png").symlink_to("loop.png")
    (line.folder / "up").symlink_to(tmp_path)
    line.options["recursive"] = True
    line.restart()
    assert line.sources() == ["in.png"]
    line.look(2.0)
    assert caplog.text.count("out.png is a link out of the folder") == 1
    assert line.source.counts()["refused_links"] >= 2


def test_a_file_swapped_for_a_link_is_not_followed(line, tmp_path):
    path = save_part(line.folder / "a.png", 10)
    line.look()
    line.now += 2
    (place,) = line.source._look()
    path.unlink()
    path.symlink_to(save_part(tmp_path / "secret.png", 10))
    assert line.source._take(place) is None


def test_a_folder_that_goes_away_and_comes_back(line, caplog):
    save_part(line.folder / "a.png", 10)
    assert line.sources() == ["a.png"]
    away = line.folder.rename(line.folder.with_name("away"))
    assert line.sources() == [] and "waiting until it is back" in caplog.text
    away.rename(line.folder)
    save_part(line.folder / "b.png", 10, seed=1)
    assert line.sources() == ["b.png"]


def test_once_ends_when_all_is_decided(tmp_path):
    folder = tmp_path / "parts"
    save_part(folder / "a.png", 10)
    save_part(folder / "b.png", 10, seed=1)
    source = FolderSource(folder, Memory(), once=True, settle=0.0, poll=0.01)
    assert len(list(source.pictures(threading.Event()))) == 2


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        FolderSource(tmp_path / "none", Memory())


HOSTILE = {
    "up\\..\\..\\evil.png": "up%5C..%5C..%5Cevil.png",
    "a\nINFO fake line.png": "a%0AINFO fake line.png",
    "\x1b[2Jclear.png": "%1B[2Jclear.png",
    "re\u202egnp.exe.png": "re%E2%80%AEgnp.exe.png",
    "100%.png": "100%25.png",
    "bad\udcff.png": "bad%FF.png",
    "große Mutter 5.png": "große Mutter 5.png",
}


@pytest.mark.parametrize(("name", "printed"), HOSTILE.items())
def test_names_are_made_printable(line, name, printed):
    data = save_part(line.folder / "x.png", 10).read_bytes()
    (line.folder / "x.png").unlink()
    with open(os.path.join(os.fsencode(line.folder), os.fsencode(name)), "wb") as file:  # noqa
        file.write(data)
    assert line.sources() == [printed]
    assert line.sources() == []


def test_different_names_stay_different():
    names = [
        *HOSTILE,
        "up%5C..%5C..%5Cevil.png",
        "a%0AINFO fake line.png",
        "../up.png",
        "%2E%2E/up.png",
    ]
    assert len({printable_name(name) for name in names}) == len(names)
    assert printable_name("../up.png") == "%2E%2E/up.png"


def encoded(kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    Image.fromarray(image).save(stream, format=kind, **options)
    return stream.getvalue()


def zipped() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("payload.js", "alert(1)")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("kind", "name"),
    [("PNG", "a.png"), ("JPEG", "a.jpg"), ("BMP", "a.bmp"), ("WEBP", "a.webp"), ("TIFF", "a.tif")],
)
def test_pictures_with_an_archive_behind_are_refused(kind, name):
    clean = encoded(kind)
    assert decode_untrusted(clean, name).shape == (24, 32, 3)
    with pytest.raises(InputError, match=f"{name} is a picture and a ZIP archive in one file"):
        decode_untrusted(clean + zipped(), name)


@pytest.mark.parametrize(
    ("rest", "what"),
    [
        (b"<?php system($_GET['c']); ?>", "a PHP script"),
        (b"\n<SCRIPT>alert(1)</SCRIPT>", "a script"),
        (b"MZ\x90\x00", "a Windows program"),
        (b"\x7fELF\x02", "a program"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
    ],
)
def test_pictures_with_something_else_behind_are_refused(rest, what):
    for kind, name in (("PNG", "a.png"), ("JPEG", "a.jpeg")):
        with pytest.raises(InputError, match=f"is a picture and {what} in one file"):
            decode_untrusted(encoded(kind) + rest, name)


def test_a_jpeg_that_is_a_pdf_is_refused():
    data = encoded("JPEG", comment=b"%PDF-1.7 1 0 obj")
    with pytest.raises(InputError, match="a picture and a PDF document"):
        decode_untrusted(data, "a.jpg")


@pytest.mark.parametrize("rest", [b"\0" * 99, b"\r\n", b"camera serial 1234"])
def test_harmless_bytes_behind_a_picture_are_read_over(rest):
    for kind, name in (("PNG", "a.png"), ("JPEG", "a.jpg")):
        assert decode_untrusted(encoded(kind) + rest, name).shape == (24, 32, 3)


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 95}, {"subsampling": 0}])
def test_the_end_of_a_jpeg_is_found(options):
    data = encoded("JPEG", **options)
    assert looks_whole(data, "a.jpg") and not looks_whole(data[:-2], "a.jpg")


def test_content_of_another_kind_than_the_suffix_is_not_decoded():
    for data in (encoded("JPEG"), b"%!PS-Adobe-3.0 EPSF-3.0\n", b"<svg/>", encoded("GIF")):
        with pytest.raises(InputError, match="not a known image format"):
            decode_untrusted(data, "a.png")


def test_a_bomb_is_refused_by_its_declared_size():
    data = bytearray(encoded("PNG"))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    with pytest.raises(InputError, match=r"megapixels, more than|decompression bomb"):
        decode_untrusted(bytes(data), "bomb.png")
    with pytest.raises(InputError, match="megapixels, more than"):
        decode_untrusted(encoded("PNG"), "a.png", max_pixels=700)


def test_files_that_are_too_large_are_not_read(line, monkeypatch):
    from dense.inspection.sources import untrusted

    monkeypatch.setattr(untrusted, "MAX_FILE_BYTES", 100)
    save_part(line.folder / "a.png", 10)
    line.look()
    (found,) = line.look(2.0)
    assert isinstance(found, Unread) and "more than the" in found.reason
