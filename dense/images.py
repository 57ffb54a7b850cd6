"""Pictures at the border of the package: RGB uint8 (H, W, 3) in, the same out.

Files that users bring are untrusted: anything that is not a readable picture of bounded size ends
in an `InputError` that names the file.
"""

from __future__ import annotations

import glob
import io
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from dense.errors import InputError, TooManyPixelsError
from dense.outputs import write_bytes

if TYPE_CHECKING:
    from dense.structures import Size

IMAGE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_PIXELS = 400_000_000
"""Larger pictures are refused as decompression bombs."""

_PILLOW_LIMIT = threading.Lock()
"""Held while Pillow's own size limit, a global, is set aside."""

_WIDE_MODES = {"I", "I;16", "I;16B", "I;16L", "I;16N", "F"}


def find_images(source: str | Path) -> list[Path]:
    """List the pictures named by a file, a directory (not recursive) or a glob pattern, sorted.

    Raises:
        InputError: If nothing is there, or no file has one of `IMAGE_SUFFIXES`.
    """
    path = Path(source)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = [entry for entry in path.iterdir() if entry.suffix.lower() in IMAGE_SUFFIXES]
    else:
        files = [Path(entry) for entry in glob.glob(str(source), recursive=True)]  # noqa: PTH207
        files = [entry for entry in files if entry.suffix.lower() in IMAGE_SUFFIXES]
        if not files and not glob.has_magic(str(source)):
            raise InputError(f"no such file or directory: {source}")
    files = [entry for entry in files if entry.is_file()]
    if not files:
        kinds = " ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"no images in {source}: expected files ending in {kinds}")
    return sorted(files)


def read_image(path: str | Path) -> NDArray[np.uint8]:
    """Read a picture as (H, W, 3) uint8 RGB.

    The EXIF rotation is applied; grey and CMYK are converted; transparency is laid over white;
    16-bit and float pictures are scaled to 8 bits (16-bit by 1/257, others by their own range).

    Raises:
        InputError: If the file is missing, empty, truncated, not a picture or too large.
    """
    with _opened(Path(path)) as picture:
        return _to_rgb(picture)


def decode_image(
    data: bytes,
    name: str,
    *,
    formats: Sequence[str] | None = None,
    max_pixels: int | None = None,
) -> NDArray[np.uint8]:
    """Decode the bytes of a picture as `read_image` reads a file.

    Args:
        data: The whole file.
        name: Stands for it in errors.
        formats: Pillow's names of the formats that may be tried, all if ``None``.
        max_pixels: Larger pictures are refused undecoded; `MAX_PIXELS` if ``None``.

    Raises:
        InputError: If the bytes are no whole picture or it is too large.
    """
    with _opened(Path(name), data, formats=formats, max_pixels=max_pixels) as picture:
        return _to_rgb(picture)


def read_mask(path: str | Path, size: Size | None = None) -> NDArray[np.int64]:
    """Read a mask of class indices as (H, W) int64; palette indices and 16 bits are kept.

    Args:
        path: A single-channel picture; of RGB(A) pictures with equal channels the first is taken.
        size: (H, W) that the mask must have, i.e. that of its image.

    Raises:
        InputError: If unreadable, of another size, or a colour picture.
    """
    with _opened(Path(path)) as picture:
        mask = np.asarray(picture)
    if mask.ndim == 3:
        if not (mask[..., :1] == mask[..., :3]).all():
            raise InputError(f"{path}: a mask holds class indices, but this is a colour picture")
        mask = mask[..., 0]
    if size is not None and mask.shape != tuple(size):
        raise InputError(
            f"{path}: the mask must have the size of its image, expected {tuple(size)}, got "
            f"{mask.shape}; export the mask at the image's own resolution"
        )
    return mask.astype(np.int64)


def write_image(path: str | Path, array: NDArray[np.generic]) -> None:
    """Write (H, W, 3) RGB or (H, W) uint8 or uint16, whole or not at all; parents are made.

    Raises:
        InputError: If the place cannot be written.
    """
    stream = io.BytesIO()
    suffix = Path(path).suffix.lower()
    kinds = Image.registered_extensions()
    if suffix not in kinds:
        raise InputError(f"cannot write {path}: expected a picture suffix such as .png or .jpg")
    Image.fromarray(array).save(stream, format=kinds[suffix])
    write_bytes(path, stream.getvalue())


def resize_map(scores: NDArray[np.floating], size: Size) -> NDArray[np.float32]:
    """Resize a score map (h, w) bilinearly to (H, W) float32, half-pixel centres."""
    height, width = size
    source = np.ascontiguousarray(scores, np.float32)
    resized = cv2.resize(source, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, np.float32)


class _opened:
    """Open a picture for one `with` block and turn every failure into an `InputError`."""

    def __init__(
        self,
        path: Path,
        data: bytes | None = None,
        *,
        formats: Sequence[str] | None = None,
        max_pixels: int | None = None,
    ) -> None:
        self.path, self.data = path, data
        self.formats = None if formats is None else tuple(formats)
        self.max_pixels = max_pixels or MAX_PIXELS
        self.picture: Image.Image | None = None

    def __enter__(self) -> Image.Image:
        if self.data is None:
            self._check_file()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                self.picture = self._open()
            self._check_size(self.picture)
            self.picture.load()
        except InputError:
            raise
        except Image.DecompressionBombError as error:
            raise TooManyPixelsError(f"cannot read {self.path}: {_reason(error)}") from error
        except Exception as error:  # decoders raise many kinds on broken files
            raise InputError(f"cannot read {self.path} as an image: {_reason(error)}") from error
        return self.picture

    def _check_file(self) -> None:
        if not self.path.exists():
            raise InputError(f"no such image: {self.path}")
        if self.path.is_dir():
            raise InputError(f"expected an image file, got a directory: {self.path}")
        if self.path.stat().st_size == 0:
            raise InputError(f"image file is empty (zero bytes): {self.path}")

    def _open(self) -> Image.Image:
        place = self.path if self.data is None else io.BytesIO(self.data)
        with _PILLOW_LIMIT:
            limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, MAX_PIXELS
            try:
                return Image.open(place, formats=self.formats)
            finally:
                Image.MAX_IMAGE_PIXELS = limit

    def __exit__(self, *_: object) -> None:
        if self.picture is not None:
            self.picture.close()

    def _check_size(self, picture: Image.Image) -> None:
        width, height = picture.size
        if width * height > self.max_pixels:
            raise TooManyPixelsError(
                f"{self.path} has {width * height / 1e6:.0f} megapixels, more than the "
                f"{self.max_pixels / 1e6:.0f} that are read; cut it into tiles"
            )


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "not a known image format"
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _to_rgb(picture: Image.Image) -> NDArray[np.uint8]:
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in _WIDE_MODES:
        return _scale_to_8_bits(np.asarray(picture), sixteen=picture.mode.startswith("I"))
    if "A" in picture.getbands() or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        picture = Image.alpha_composite(white, rgba)
    return np.asarray(picture.convert("RGB"))


def _scale_to_8_bits(values: NDArray[np.generic], *, sixteen: bool) -> NDArray[np.uint8]:
    wide = np.nan_to_num(values.astype(np.float64))
    if sixteen and wide.min() >= 0 and wide.max() <= 65535:
        grey = wide / 257.0
    else:
        span = wide.max() - wide.min()
        grey = (wide - wide.min()) * (255.0 / span if span else 0.0)
    return np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
