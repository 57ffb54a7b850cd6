"""Files that others write: names made printable, bytes read once, pictures decoded with suspicion.

A picture is decoded only as the format of its suffix, by decoders of pixels alone, after its
declared size was checked. Files that are a picture and something else as well (a picture with an
archive, a document or a program behind it) are refused: no camera writes them.
"""

from __future__ import annotations

import hashlib
import os
import stat
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError, TooManyPixelsError
from dense.images import decode_image

MAX_FILE_BYTES = 1 << 30
MAX_LINE_PIXELS = 200_000_000
"""Larger pictures are refused as decompression bombs."""

_FORMATS = {
    ".bmp": "BMP",
    ".jpeg": "JPEG",
    ".jpg": "JPEG",
    ".png": "PNG",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".webp": "WEBP",
}
_BEGINNINGS = {
    b"PK\x03\x04": "a ZIP archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive",
    b"\x1f\x8b\x08": "a gzip archive",
    b"MZ": "a Windows program",
    b"\x7fELF": "a program",
    b"#!": "a script",
}
_TEXTS = {b"<?php": "a PHP script", b"<script": "a script", b"<html": "a web page"}


class UnfinishedError(InputError):
    """The bytes are no whole picture (yet): half-written or broken."""


def printable_name(name: str) -> str:
    r"""Make a file name safe to print, log and send; different names stay different.

    Control characters, line and direction marks, backslashes, per cent signs and bytes that are no
    UTF-8 become ``%XX`` of their bytes, so no name can forge a line of a log or climb out of a
    folder on another system.
    """
    out = []
    for letter in name:
        if letter in "\\%" or not letter.isprintable():
            out.append("".join(f"%{byte:02X}" for byte in os.fsencode(letter)))
        else:
            out.append(letter)
    return "/".join("%2E%2E" if part == ".." else part for part in "".join(out).split("/"))


def read_regular(path: Path) -> tuple[bytes, os.stat_result]:
    """Read a regular file once, never through a link, and say how it looked.

    Raises:
        InputError: If it is no regular file or larger than `MAX_FILE_BYTES`.
        OSError: If it went away or cannot be read.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as stream:
        before = os.fstat(stream.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise InputError(f"{path.name} is not a regular file")
        if before.st_size > MAX_FILE_BYTES:
            raise InputError(
                f"{path.name} has {before.st_size / 1e6:.0f} MB, more than the "
                f"{MAX_FILE_BYTES / 1e6:.0f} that are read"
            )
        return stream.read(MAX_FILE_BYTES), before


def hash_file(path: Path) -> str:
    """SHA-256 of a file of any size."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as stream:
        digest = hashlib.sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def decode_untrusted(
    data: bytes, name: str, *, max_pixels: int = MAX_LINE_PIXELS
) -> NDArray[np.uint8]:
    """Decode the bytes of a picture file as (H, W, 3) uint8 RGB.

    Args:
        data: The whole file.
        name: Printable name with its suffix, which says the format.
        max_pixels: Larger pictures are refused before they are decoded.

    Raises:
        UnfinishedError: If the bytes are no whole picture (yet).
        InputError: If the content is of another kind than the suffix says, hides something behind
            the picture, or is too large.
    """
    kind = _FORMATS.get(Path(name).suffix.lower())
    if kind is None:
        raise InputError(f"{name} has no suffix of a picture, expected {' '.join(_FORMATS)}")
    other = _other_content(data, kind)
    if other:
        raise InputError(f"{name} is a picture and {other} in one file, which no camera writes")
    if not data:
        raise UnfinishedError(f"{name} is empty (zero bytes)")
    try:
        return decode_image(data, name, formats=(kind,), max_pixels=max_pixels)
    except TooManyPixelsError:
        raise
    except InputError as error:
        raise UnfinishedError(str(error)) from error


def looks_whole(data: bytes, name: str) -> bool:
    """Whether the end of the picture has been written, as far as its format tells.

    Files that were given their full length before their content decode "whole" with a grey rest
    where the format has no checksum; only JPEG says where it ends.
    """
    if Path(name).suffix.lower() not in (".jpg", ".jpeg"):
        return True
    return _jpeg_end(data) is not None


def _other_content(data: bytes, kind: str) -> str:
    if b"%PDF-" in data[:1024]:
        return "a PDF document"
    if data[-22:-18] == b"PK\x05\x06":
        return "a ZIP archive"
    rest = data[_picture_end(data, kind) :].lstrip(b"\x00\r\n\t ")
    for mark, what in _BEGINNINGS.items():
        if rest.startswith(mark):
            return what
    for mark, what in _TEXTS.items():
        if mark in rest.lower():
            return what
    return ""


def _picture_end(data: bytes, kind: str) -> int:
    """Where the picture ends by its own account; the end of the data if it does not say."""
    end: int | None = None
    if kind == "PNG":
        end = _png_end(data)
    elif kind == "JPEG":
        end = _jpeg_end(data)
    elif kind == "BMP" and len(data) >= 6:
        end = struct.unpack_from("<I", data, 2)[0]
    elif kind == "WEBP" and len(data) >= 8:
        end = struct.unpack_from("<I", data, 4)[0] + 8
    return len(data) if end is None else end


def _png_end(data: bytes) -> int | None:
    place = 8
    while place + 12 <= len(data):
        length = struct.unpack_from(">I", data, place)[0]
        kind = data[place + 4 : place + 8]
        place += 12 + length
        if kind == b"IEND":
            return place
    return None


def _jpeg_end(data: bytes) -> int | None:
    """Walk the segments; inside scans 0xFF is followed by 0x00 or a restart mark."""
    place = 2
    while True:
        place = data.find(b"\xff", place)
        if place < 0 or place + 1 >= len(data):
            return None
        mark = data[place + 1]
        if mark == 0xD9:
            return place + 2
        if mark == 0xFF:
            place += 1
        elif mark in (0x00, 0x01) or 0xD0 <= mark <= 0xD8:
            place += 2
        elif place + 4 <= len(data):
            place += 2 + struct.unpack_from(">H", data, place + 2)[0]
        else:
            return None
