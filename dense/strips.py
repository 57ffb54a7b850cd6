"""Very large pictures read strip by strip, so that memory does not grow with their height.

Line-scan cameras write pictures of 100 megapixels and more. NumPy files are mapped into memory,
TIFF files are read one of their own strips or tiles at a time; other formats cannot be read in
parts and are decoded whole (3 bytes a pixel).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dense.errors import InputError, MissingDependencyError
from dense.images import read_image
from dense.structures import Size

TIFF_SUFFIXES = (".tif", ".tiff")


class Strips(ABC):
    """A picture whose rows are read when they are asked for.

    Attributes:
        size: (H, W).
    """

    size: Size

    @abstractmethod
    def read(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """Rows (bottom - top, W, 3) uint8 RGB."""


class ArrayStrips(Strips):
    """A picture in memory, or mapped into it.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) uint8.
        name: For messages.

    Raises:
        InputError: If it has another shape or type.
    """

    def __init__(self, image: NDArray[Any], name: str = "the picture") -> None:
        fits = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))
        if not fits or image.dtype != np.uint8 or not image.size:
            raise InputError(
                f"{name}: expected (H, W) or (H, W, 3) of uint8, got {image.shape} of {image.dtype}"
            )
        self.size = (image.shape[0], image.shape[1])
        self._image = image

    def read(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """See the base class."""
        return _rgb(np.asarray(self._image[top:bottom]))


class TiffStrips(Strips):
    """An 8-bit TIFF, decoded by its own strips or tiles; those in use are kept.

    Memory: the requested rows and one row of the file's tiles.

    Args:
        path: The file.

    Raises:
        MissingDependencyError: If tifffile is missing.
        InputError: If it is no TIFF of 8-bit grey or RGB.
    """

    def __init__(self, path: Path) -> None:
        try:
            import tifffile
        except ImportError as error:
            raise MissingDependencyError(
                'reading a TIFF in strips needs tifffile: pip install "dense-clip[large]"'
            ) from error
        try:
            self._file = tifffile.TiffFile(path)
            self._page: Any = self._file.pages[0]
        except (tifffile.TiffFileError, OSError, IndexError) as error:
            raise InputError(f"cannot read {path} as a TIFF: {error}") from error
        page: Any = self._page
        if page.dtype != np.uint8 or page.samplesperpixel not in (1, 3) or page.planarconfig != 1:
            raise InputError(
                f"{path}: a TIFF is read in strips if it has 8-bit grey or RGB pixels, got "
                f"{page.dtype} with {page.samplesperpixel} samples a pixel"
            )
        self.size = (int(page.imagelength), int(page.imagewidth))
        self._deep = int(page.tilelength if page.is_tiled else page.rowsperstrip)
        self._wide = int(page.tilewidth if page.is_tiled else page.imagewidth)

    def read(self, top: int, bottom: int) -> NDArray[np.uint8]:
        """See the base class."""
        page, (height, width) = self._page, self.size
        first, last = top // self._deep, (bottom - 1) // self._deep
        across = -(-width // self._wide)
        deep = min((last + 1) * self._deep, height) - first * self._deep
        rows = np.zeros((deep, width, page.samplesperpixel), np.uint8)
        for number in range(first * across, (last + 1) * across):
            data, (_, _, y, x, _), _ = page.decode(self._bytes(number), number)
            if data is None:
                continue
            part = data[0]
            y -= first * self._deep
            part = part[: deep - y, : width - x]
            rows[y : y + part.shape[0], x : x + part.shape[1]] = part
        return _rgb(rows[top - first * self._deep : bottom - first * self._deep])

    def _bytes(self, number: int) -> bytes | None:
        handle, page = self._file.filehandle, self._page
        handle.seek(page.dataoffsets[number])
        return handle.read(page.databytecounts[number])


def open_strips(path: str | Path) -> Strips:
    """Open a picture for reading in strips.

    Raises:
        InputError: If it is missing or cannot be read.
        MissingDependencyError: If a package is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"no such image: {path}")
    if path.suffix.lower() == ".npy":
        try:
            return ArrayStrips(np.load(path, mmap_mode="r", allow_pickle=False), str(path))
        except ValueError as error:
            raise InputError(f"cannot read {path} as a NumPy array: {error}") from error
    if path.suffix.lower() in TIFF_SUFFIXES:
        return TiffStrips(path)
    return ArrayStrips(read_image(path), str(path))


def _rgb(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if rows.ndim == 2:
        rows = rows[..., None]
    return np.ascontiguousarray(np.broadcast_to(rows, (*rows.shape[:2], 3)))
