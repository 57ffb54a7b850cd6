"""Files of pictures: their kinds, decoded with suspicion, encoded."""

from __future__ import annotations

from pathlib import PurePosixPath

import cv2
import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError, TooManyPixelsError
from dense.inspection.sources.untrusted import decode_untrusted
from dense.service.errors import TooLargeError, UnsupportedError
from dense.service.formats import SUFFIXES, TYPES

Image = NDArray[np.uint8]

_BEGINNINGS = {
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"BM": "image/bmp",
    b"RIFF": "image/webp",
    b"II*\x00": "image/tiff",
    b"MM\x00*": "image/tiff",
}


def suffix_of(content_type: str | None, name: str | None) -> str:
    """The format of a picture, by its type or else its name.

    Raises:
        UnsupportedError: If neither tells one that is read.
    """
    kind = (content_type or "").partition(";")[0].strip().lower()
    suffix = SUFFIXES.get(kind) or PurePosixPath(name or "").suffix.lower()
    if suffix not in TYPES:
        known = ", ".join(SUFFIXES)
        raise UnsupportedError(f"expected a picture of type {known}, got {kind[:60] or 'none'!r}")
    return suffix


def type_of(data: bytes) -> str:
    """The type of a picture by how its file begins.

    Raises:
        UnsupportedError: If it is of no kind that is read.
    """
    for beginning, kind in _BEGINNINGS.items():
        if data.startswith(beginning):
            return kind
    raise UnsupportedError("the file begins like no picture that is read")


def decode(data: bytes, suffix: str, name: str, most: int) -> Image:
    """Decode a picture that somebody sent.

    Raises:
        TooLargeError: If it has more pixels than are read.
        InputError: If it is none.
    """
    try:
        return decode_untrusted(data, f"picture{suffix}", max_pixels=most)
    except InputError as error:
        text = str(error).replace(f"picture{suffix}", name)
        kind = TooLargeError if isinstance(error, TooManyPixelsError) else InputError
        raise kind(text) from error


def encode(image: Image, suffix: str) -> bytes:
    """RGB or RGBA as a file."""
    turned = cv2.COLOR_RGBA2BGRA if image.shape[2] == 4 else cv2.COLOR_RGB2BGR
    good, data = cv2.imencode(suffix, cv2.cvtColor(image, turned))
    if not good:
        raise InputError(f"a picture of {image.shape[:2]} cannot be written")
    return data.tobytes()


def scaled(image: Image, width: int | None) -> bytes:
    """A picture as PNG, or as JPEG with its longer side at most `width`."""
    if width is None or max(image.shape[:2]) <= width:
        return encode(image, ".png")
    shrink = width / max(image.shape[:2])
    small = cv2.resize(image, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return encode(np.asarray(small, np.uint8), ".jpg")
