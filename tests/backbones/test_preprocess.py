"""From a picture to the tower's input."""

import numpy as np
import pytest
import torch
from PIL import Image

from dense.backbones.preprocess import (
    OPENAI_MEAN,
    OPENAI_STD,
    PreprocessConfig,
    fit_short_side,
)
from tests.helpers import photo


def test_normalisation_by_hand() -> None:
    image = np.array([[[0, 51, 255]]], np.uint8)
    got = PreprocessConfig().to_tensor(image)
    expected = [(v - m) / s for v, m, s in zip((0, 0.2, 1), OPENAI_MEAN, OPENAI_STD, strict=True)]
    assert got.shape == (3, 1, 1)
    torch.testing.assert_close(got.flatten(), torch.tensor(expected))


def test_the_picture_is_not_changed() -> None:
    image = photo(8, 9)
    before = image.copy()
    config = PreprocessConfig()
    first, again = config.to_tensor(image), config.to_tensor(image)
    assert np.array_equal(image, before)
    assert torch.equal(first, again)


def test_equals_open_clips_transform() -> None:
    """A square picture, shrunk: the same pixels as open_clip's evaluation transform."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    image = photo(64, 64)
    theirs = image_transform_v2(PreprocessCfg(size=32), is_train=False)(Image.fromarray(image))
    config = PreprocessConfig()
    ours = config.to_tensor(config.resize(image, (32, 32)))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
def test_resize(interpolation: str) -> None:
    config = PreprocessConfig(interpolation=interpolation)
    image = photo(20, 30)
    assert config.resize(image, (20, 30)) is image
    kind = getattr(Image.Resampling, interpolation.upper())
    shrunk = np.asarray(Image.fromarray(image).resize((11, 7), kind))
    assert np.array_equal(config.resize(image, (7, 11)), shrunk)
    grown = np.asarray(Image.fromarray(image).resize((60, 40), kind)).astype(int)
    got = config.resize(image, (40, 60))
    assert got.shape == (40, 60, 3)
    assert np.abs(got[4:-4, 4:-4] - grown[4:-4, 4:-4]).mean() < 3


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((480, 640), 448, None, (448, 592)),
        ((640, 480), 448, None, (592, 448)),
        ((100, 100), 32, None, (32, 32)),
        ((10, 1000), 32, 64, (16, 64)),
        ((1, 1), 16, None, (16, 16)),
    ],
)
def test_fit_short_side(
    size: tuple[int, int], short: int, longest: int | None, expected: tuple[int, int]
) -> None:
    got = fit_short_side(size, short, (16, 16), longest)
    assert got == expected
    assert got[0] % 16 == got[1] % 16 == 0
