"""Rows of large pictures, whatever the file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense.errors import InputError
from dense.strips import ArrayStrips, TiffStrips, open_strips
from tests.helpers import photo

tifffile = pytest.importorskip("tifffile")
IMAGE = photo(70, 90)


@pytest.mark.parametrize(
    "options",
    [
        {"rowsperstrip": 16},
        {"rowsperstrip": 7, "compression": "zlib"},
        {"tile": (32, 16)},
        {"tile": (16, 48), "compression": "zlib", "predictor": True},
    ],
)
def test_tiff(tmp_path: Path, options: dict) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, photometric="rgb", **options)
    source = open_strips(path)
    assert isinstance(source, TiffStrips)
    assert source.size == (70, 90)
    for top, bottom in ((0, 70), (0, 1), (13, 40), (63, 70), (16, 32)):
        np.testing.assert_array_equal(source.read(top, bottom), IMAGE[top:bottom])


def test_grey_numpy_and_png(tmp_path: Path) -> None:
    grey = IMAGE[..., 0]
    tifffile.imwrite(tmp_path / "g.tif", grey, rowsperstrip=8)
    np.save(tmp_path / "g.npy", grey)
    Image.fromarray(grey).save(tmp_path / "g.png")
    expected = np.repeat(grey[10:20, :, None], 3, 2)
    for name in ("g.tif", "g.npy", "g.png"):
        np.testing.assert_array_equal(open_strips(tmp_path / name).read(10, 20), expected)


def test_refusals(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "deep.tif", IMAGE.astype(np.uint16), photometric="rgb")
    (tmp_path / "broken.tif").write_bytes(b"nothing")
    np.save(tmp_path / "float.npy", IMAGE.astype(np.float32))
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    for name, message in (
        ("gone.tif", "no such image"),
        ("deep.tif", "8-bit grey or RGB"),
        ("broken.tif", "cannot read .* as a TIFF"),
        ("float.npy", "of uint8"),
        ("broken.npy", "cannot read .* as a NumPy array"),
    ):
        with pytest.raises(InputError, match=message):
            open_strips(tmp_path / name)
    with pytest.raises(InputError, match="of uint8"):
        ArrayStrips(np.zeros((3, 3, 4), np.uint8))
