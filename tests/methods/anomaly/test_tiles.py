"""Tiles of large and oblong pictures, by hand and by law."""

import numpy as np
import pytest

from dense.errors import InputError
from dense.images import resize_map
from dense.methods.anomaly.tiles import SQUARES, WHOLE, Tiling, blend, tile_boxes, tile_score


def test_the_whole_picture_is_one_tile() -> None:
    assert tile_boxes((70, 300), WHOLE, (32, 32)) == [(0, 0, 70, 300)]


def test_squares_of_the_short_side_by_hand() -> None:
    """Side 100, 80 apart; the last is shifted inside, and each place counts once."""
    across = [(0, 0, 100, 100), (0, 80, 100, 180), (0, 150, 100, 250)]
    assert tile_boxes((100, 250), SQUARES, (32, 32)) == across
    down = [(left, top, right, bottom) for top, left, bottom, right in across]
    assert tile_boxes((250, 100), SQUARES, (32, 32)) == down
    assert tile_boxes((100, 100), SQUARES, (32, 32)) == [(0, 0, 100, 100)]


def test_tiles_have_the_aspect_of_the_input() -> None:
    boxes = tile_boxes((60, 200), SQUARES, (24, 56))
    assert boxes == [(0, 0, 60, 140), (0, 60, 60, 200)]


def test_native_tiles_by_hand() -> None:
    native = Tiling("native")
    boxes = tile_boxes((500, 300), native, (240, 240))
    assert [box[:2] for box in boxes] == [(0, 0), (0, 60), (192, 0), (192, 60), (260, 0), (260, 60)]
    assert {(b - t, r - left) for t, left, b, r in boxes} == {(240, 240)}
    assert tile_boxes((500, 300), Tiling("native", zoom=2), (120, 120)) == boxes
    small = (100, 150)
    assert tile_boxes(small, native, (240, 240)) == tile_boxes(small, SQUARES, (240, 240))


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (240, 241), (333, 777), (1000, 50)])
@pytest.mark.parametrize("tiling", [WHOLE, SQUARES, Tiling("native", step=1), Tiling("native")])
def test_tiles_cover_the_picture_and_stay_inside(size: tuple[int, int], tiling: Tiling) -> None:
    covered = np.zeros(size, int)
    for top, left, bottom, right in tile_boxes(size, tiling, (64, 64)):
        assert 0 <= top < bottom <= size[0]
        assert 0 <= left < right <= size[1]
        covered[top:bottom, left:right] += 1
    assert covered.min() >= 1


def test_one_tile_is_only_resized() -> None:
    scores = np.random.default_rng(0).random((4, 5), np.float32)
    got = blend([scores], [(0, 0, 37, 23)], (37, 23))
    np.testing.assert_array_equal(got, resize_map(scores, (37, 23)))


def test_blend_by_hand() -> None:
    """Weights ½, 1½, 1½, ½ of each tile: a quarter, then three quarters in the overlap."""
    boxes = [(0, 0, 1, 4), (0, 2, 1, 6)]
    got = blend([np.zeros((1, 1)), np.ones((1, 1))], boxes, (1, 6))
    assert got.tolist() == [[0, 0, 0.25, 0.75, 1, 1]]


@pytest.mark.parametrize("tiling", [SQUARES, Tiling("native")])
def test_blend_keeps_constants_and_has_no_seams(tiling: Tiling) -> None:
    size = (150, 333)
    boxes = tile_boxes(size, tiling, (64, 64))
    same = blend([np.full((4, 4), 0.3, np.float32)] * len(boxes), boxes, size)
    np.testing.assert_allclose(same, 0.3, rtol=1e-5)
    values = np.random.default_rng(1).random(len(boxes))
    mixed = blend([np.full((4, 4), value) for value in values], boxes, size)
    assert values.min() - 1e-6 <= mixed.min() < mixed.max() <= values.max() + 1e-6
    overlap = 0.2 * min(boxes[0][2], boxes[0][3])
    step = max(np.abs(np.diff(mixed, axis=axis)).max() for axis in (0, 1))
    assert step < 2 * np.ptp(values) / overlap  # a seam would jump by the whole difference


def test_score_of_tiles() -> None:
    assert tile_score([0.2, 0.6, 0.1], SQUARES) == pytest.approx(0.3)
    assert tile_score([0.2, 0.6, 0.1], Tiling("native", score="max")) == 0.6


def test_errors() -> None:
    with pytest.raises(InputError, match=r"unknown tiling 'squares'.*square"):
        Tiling("squares")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="unknown score of tiles 'sum'"):
        Tiling(score="sum")  # type: ignore[arg-type]
    for step in (0, 1.2):
        with pytest.raises(InputError, match=rf"step is {step}, expected a share of the tile"):
            Tiling("square", step=step)
    with pytest.raises(InputError, match="zoom is 0, expected original pixels per input pixel"):
        Tiling("native", zoom=0)
