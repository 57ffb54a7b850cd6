"""Pictures that users bring: read right, or refused with one sentence, never wrong."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dense import images
from dense.errors import InputError
from dense.images import find_images, read_image, read_mask, resize_map, write_image
from tests.helpers import photo


def save(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


# --- reading -------------------------------------------------------------------------------------


def test_rgb_is_read_as_it_is(tmp_path: Path) -> None:
    array = photo(7, 5)
    assert np.array_equal(read_image(save(tmp_path / "a.png", array)), array)


@pytest.mark.parametrize(
    ("orientation", "turned"),
    [
        (1, lambda a: a),
        (2, lambda a: a[:, ::-1]),
        (3, lambda a: a[::-1, ::-1]),
        (4, lambda a: a[::-1]),
        (5, lambda a: a.transpose(1, 0, 2)),
        (6, lambda a: np.rot90(a, -1)),
        (7, lambda a: a.transpose(1, 0, 2)[::-1, ::-1]),
        (8, lambda a: np.rot90(a)),
    ],
)
def test_exif_rotation_is_applied(tmp_path: Path, orientation: int, turned: object) -> None:
    array = photo(6, 9)
    exif = Image.Exif()
    exif[274] = orientation
    path = save(tmp_path / "a.png", array, exif=exif)
    assert np.array_equal(read_image(path), turned(array))


def test_exif_rotation_of_a_jpeg(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = save(tmp_path / "a.jpg", photo(40, 64), exif=exif, quality=95)
    assert read_image(path).shape == (64, 40, 3)


def test_grey(tmp_path: Path) -> None:
    grey = photo(5, 6)[..., 0]
    got = read_image(save(tmp_path / "a.png", grey))
    assert np.array_equal(got, np.repeat(grey[..., None], 3, axis=2))


def test_black_and_white(tmp_path: Path) -> None:
    bits = np.eye(4, dtype=bool)
    assert np.array_equal(read_image(save(tmp_path / "a.png", bits))[..., 1], bits * 255)


def test_palette(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8), "P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png").tolist() == [
        [[255, 0, 0], [0, 0, 255]],
        [[0, 0, 255], [255, 0, 0]],
    ]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_is_scaled(tmp_path: Path, suffix: str) -> None:
    """0 → 0, 65535 → 255, the middle to the middle: not the low byte, not clipped."""
    wide = np.array([[0, 257, 32768, 65535]], np.uint16)
    got = read_image(save(tmp_path / f"a.{suffix}", wide))
    assert got[0, :, 0].tolist() == [0, 1, 128, 255]
    assert got.shape == (1, 4, 3)


def test_float_is_scaled_by_its_own_range(tmp_path: Path) -> None:
    values = np.array([[-1.0, 0.0, 1.0]], np.float32)
    assert read_image(save(tmp_path / "a.tif", values))[0, :, 0].tolist() == [0, 128, 255]
    constant = np.full((2, 2), 7.0, np.float32)
    assert (read_image(save(tmp_path / "b.tif", constant)) == 0).all()


def test_transparency_is_laid_over_white(tmp_path: Path) -> None:
    rgba = np.zeros((1, 3, 4), np.uint8)
    rgba[0, :, 0] = 200
    rgba[0, :, 3] = (0, 255, 128)
    got = read_image(save(tmp_path / "a.png", rgba))[0]
    assert got[0].tolist() == [255, 255, 255]
    assert got[1].tolist() == [200, 0, 0]
    assert np.abs(got[2].astype(int) - [227, 127, 127]).max() <= 1


def test_grey_with_alpha(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[[10, 255], [10, 0]]], np.uint8), "LA")
    picture.save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png")[0, :, 0].tolist() == [10, 255]


def test_cmyk(tmp_path: Path) -> None:
    picture = Image.new("CMYK", (8, 8), (0, 255, 255, 0))  # red
    picture.save(tmp_path / "a.jpg", quality=95)
    red = read_image(tmp_path / "a.jpg")[4, 4].astype(int)
    assert red[0] > 200
    assert red[1:].max() < 60


def test_one_pixel(tmp_path: Path) -> None:
    got = read_image(save(tmp_path / "a.png", np.full((1, 1, 3), 9, np.uint8)))
    assert got.tolist() == [[[9, 9, 9]]]


def test_the_result_can_be_written_to(tmp_path: Path) -> None:
    got = read_image(save(tmp_path / "a.png", photo(4, 4)))
    assert got.dtype == np.uint8
    assert got.copy().flags.writeable


# --- refusing ------------------------------------------------------------------------------------


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such image: .*gone\.png"):
        read_image(tmp_path / "gone.png")


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected an image file, got a directory"):
        read_image(tmp_path)


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(InputError, match=r"empty \(zero bytes\): .*a\.png"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "bmp", "webp"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", photo(64, 64))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=rf"cannot read .*a\.{suffix} as an image"):
        read_image(path)


def test_not_an_image(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match="not a known image format"):
        read_image(tmp_path / "a.png")


def test_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused by its declared size, before its pixels are unpacked; Pillow's limit stays."""
    path = save(tmp_path / "a.png", np.zeros((100, 100), np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 9_999)
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("unpacked"))
    limit = Image.MAX_IMAGE_PIXELS
    with pytest.raises(InputError, match="megapixels, more than"):
        read_image(path)
    assert limit == Image.MAX_IMAGE_PIXELS


def test_pictures_beyond_pillows_own_limit_are_read(tmp_path: Path) -> None:
    """Pillow refuses from 179 megapixels on; here the bound is `MAX_PIXELS`."""
    path = save(tmp_path / "a.png", np.zeros((50, 50), np.uint8))
    limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, 1000
    try:
        assert read_image(path).shape == (50, 50, 3)
    finally:
        Image.MAX_IMAGE_PIXELS = limit


# --- masks ---------------------------------------------------------------------------------------


def test_mask_keeps_palette_indices_and_16_bits(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [2, 255]], np.uint8), "P")
    picture.putpalette([9, 9, 9] * 256)
    picture.save(tmp_path / "a.png")
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 1], [2, 255]]
    save(tmp_path / "b.png", np.array([[0, 40000]], np.uint16))
    mask = read_mask(tmp_path / "b.png")
    assert mask.tolist() == [[0, 40000]]
    assert mask.dtype == np.int64


def test_grey_mask_saved_as_rgb(tmp_path: Path) -> None:
    rgb = np.repeat(np.array([[0, 7]], np.uint8)[..., None], 3, axis=2)
    assert read_mask(save(tmp_path / "a.png", rgb)).tolist() == [[0, 7]]


def test_colour_mask(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this is a colour picture"):
        read_mask(save(tmp_path / "a.png", photo(4, 4)))


def test_mask_of_another_size(tmp_path: Path) -> None:
    path = save(tmp_path / "a.png", np.zeros((4, 6), np.uint8))
    assert read_mask(path, (4, 6)).shape == (4, 6)
    with pytest.raises(InputError, match=r"expected \(6, 4\), got \(4, 6\)"):
        read_mask(path, (6, 4))


# --- finding -------------------------------------------------------------------------------------


def test_find_images(tmp_path: Path) -> None:
    for name in ("b.png", "a.JPG", "notes.txt", "c.tiff"):
        (tmp_path / name).touch()
    (tmp_path / "sub.png").mkdir()
    names = ["a.JPG", "b.png", "c.tiff"]
    assert [path.name for path in find_images(tmp_path)] == names
    assert [path.name for path in find_images(f"{tmp_path}/*")] == names
    assert [path.name for path in find_images(f"{tmp_path}/b*")] == ["b.png"]
    assert find_images(tmp_path / "b.png") == [tmp_path / "b.png"]


def test_nothing_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no images in .*expected files ending in \.bmp"):
        find_images(tmp_path)
    with pytest.raises(InputError, match="no images in"):
        find_images(f"{tmp_path}/*.png")
    with pytest.raises(InputError, match="no such file or directory"):
        find_images(tmp_path / "gone")


# --- writing -------------------------------------------------------------------------------------


def test_write_makes_parents_and_round_trips(tmp_path: Path) -> None:
    path = tmp_path / "new" / "deep" / "a.png"
    array = photo(5, 4)
    write_image(path, array)
    assert np.array_equal(read_image(path), array)
    assert [entry.name for entry in path.parent.iterdir()] == ["a.png"]


def test_write_16_bit(tmp_path: Path) -> None:
    wide = np.array([[0, 65535]], np.uint16)
    write_image(tmp_path / "a.png", wide)
    assert read_mask(tmp_path / "a.png").tolist() == [[0, 65535]]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(tmp_path / "a.png", photo(4, 4))
    before = (tmp_path / "a.png").read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(InputError, match=r"cannot write .*a\.png: No space left"):
        write_image(tmp_path / "a.png", photo(9, 9))
    assert (tmp_path / "a.png").read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_unwritable_places(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        write_image(tmp_path / "file" / "a.png", photo(4, 4))
    with pytest.raises(InputError, match="cannot write"):
        write_image("/proc/dense/a.png", photo(4, 4))
    with pytest.raises(InputError, match="picture suffix such as"):
        write_image(tmp_path / "a.xyz", photo(4, 4))


def test_resize_map_by_hand() -> None:
    got = resize_map(np.array([[0.0, 1.0]]), (1, 4))
    assert got[0].tolist() == pytest.approx([0.0, 0.25, 0.75, 1.0])
    assert got.dtype == np.float32
    assert resize_map(np.full((3, 5), 2.5), (7, 11)).tolist() == [[2.5] * 11] * 7
