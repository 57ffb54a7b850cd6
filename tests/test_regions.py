"""Windows and crops as index arithmetic."""

import pytest

from dense.errors import InputError
from dense.regions import sliding_starts, window_indices


def test_windows_of_a_small_grid() -> None:
    expected = [[0, 1, 3, 4], [1, 2, 4, 5], [3, 4, 6, 7], [4, 5, 7, 8]]
    assert window_indices((3, 3), 2).tolist() == expected


def test_window_counts_of_winclip() -> None:
    assert window_indices((15, 15), 2).shape == (196, 4)
    assert window_indices((15, 15), 3).shape == (169, 9)


def test_stride_and_non_square_grids() -> None:
    assert window_indices((2, 5), 2, 2).tolist() == [[0, 1, 5, 6], [2, 3, 7, 8]]
    assert window_indices((2, 3), 1).flatten().tolist() == list(range(6))


@pytest.mark.parametrize("side", [0, 4])
def test_windows_that_do_not_fit(side: int) -> None:
    with pytest.raises(InputError, match=rf"window of {side} patches does not fit a grid of"):
        window_indices((3, 5), side)


@pytest.mark.parametrize(
    ("length", "crop", "stride", "expected"),
    [
        (10, 10, 5, [0]),
        (8, 10, 5, [0]),
        (11, 10, 5, [0, 1]),
        (20, 10, 5, [0, 5, 10]),
        (22, 10, 5, [0, 5, 10, 12]),
        (21, 10, 10, [0, 10, 11]),
    ],
)
def test_sliding_starts(length: int, crop: int, stride: int, expected: list[int]) -> None:
    assert sliding_starts(length, crop, stride) == expected


def test_crops_cover_everything() -> None:
    for length in range(5, 60):
        starts = sliding_starts(length, 12, 7)
        covered = {pixel for start in starts for pixel in range(start, start + 12)}
        assert covered >= set(range(length))
        assert min(starts) == 0
        assert max(starts) == max(0, length - 12)
