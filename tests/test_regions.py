"""Windows, crops, boxes and masks as arithmetic."""

import numpy as np
import pytest
import torch

from dense.errors import InputError
from dense.regions import (
    align_boxes,
    box_cover,
    check_boxes,
    cut_box,
    mask_boxes,
    mask_cover,
    pixel_span,
    pool_boxes,
    pool_masks,
    sliding_starts,
    to_patches,
    widen_boxes,
    window_indices,
)


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


BOXES = torch.tensor(
    [[0.0, 0, 11, 7], [1.3, 2.2, 4.9, 3.1], [5, 5, 5.2, 5.9], [9.5, 6, 11, 7], [0, 0, 0.1, 7]]
)


@pytest.mark.parametrize("bins", [1, 3])
def test_alignment_is_torchvisions(bins: int) -> None:
    from torchvision.ops import roi_align

    dense = torch.randn(5, 7, 11)
    theirs = roi_align(dense[None], [BOXES], bins, 1.0, -1, True).flatten(2).transpose(1, 2)
    torch.testing.assert_close(align_boxes(dense, BOXES, bins), theirs)
    if bins == 1:
        torch.testing.assert_close(pool_boxes(dense, BOXES, at_once=2), theirs[:, 0])


def test_a_constant_is_pooled_to_itself_and_halves_to_their_own() -> None:
    dense = torch.full((1, 4, 8), 3.0)
    torch.testing.assert_close(pool_boxes(dense, BOXES[1:2].clamp(max=4)), torch.tensor([[3.0]]))
    dense[0, :, 4:] = 1.0
    boxes = to_patches(torch.tensor([[0.0, 0, 40, 40], [0, 0, 80, 40]]), (40, 80), (4, 8))
    torch.testing.assert_close(pool_boxes(dense, boxes), torch.tensor([[3.0], [2.0]]))


def test_masks_weigh_patches_by_their_share() -> None:
    dense = torch.tensor([[[1.0, 5.0]]])
    masks = torch.zeros(3, 4, 8, dtype=torch.bool)
    masks[0, :, :4] = True
    masks[1, :2, :4] = masks[1, 0, 4:] = True  # 8 and 4 pixels
    pooled = pool_masks(dense, masks, at_once=2)
    torch.testing.assert_close(pooled, torch.tensor([[1.0], [(8 * 1 + 4 * 5) / 12], [0.0]]))


def test_no_regions() -> None:
    dense = torch.randn(5, 3, 3)
    assert pool_boxes(dense, torch.zeros(0, 4)).shape == (0, 5)
    assert pool_masks(dense, torch.zeros(0, 9, 9, dtype=torch.bool)).shape == (0, 5)
    assert align_boxes(dense, torch.zeros(0, 4), 2).shape == (0, 4, 5)


def test_boxes_are_cut_at_the_border() -> None:
    found = check_boxes(np.array([[-5, 2, 50, 8]]), (10, 20), "a.png")
    np.testing.assert_allclose(found, [[0, 2, 20, 8]])
    assert check_boxes(np.zeros((0, 4)), (10, 20), "a.png").shape == (0, 4)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ([30, 0, 40, 5], "lies outside the picture of 20 × 10"),
        ([-9, 0, -1, 5], "lies outside"),
        ([8, 0, 3, 5], "is inverted"),
        ([3, 5, 3, 9], "is empty"),
        ([3, float("nan"), 5, 9], "is not finite"),
    ],
)
def test_bad_boxes(box: list[float], message: str) -> None:
    with pytest.raises(InputError, match=rf"box 2 of a\.png .*{message}"):
        check_boxes(np.array([[0, 0, 5, 5], box]), (10, 20), "a.png")


def test_boxes_of_another_shape() -> None:
    with pytest.raises(InputError, match="rows of x0 y0 x1 y1"):
        check_boxes(np.ones((2, 3)), (10, 20), "a.png")


def test_cuts_by_hand() -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    np.testing.assert_array_equal(cut_box(image, [1.2, 0, 3, 2.5]), image[0:3, 1:3])
    assert cut_box(image, [5.9, 3.9, 5.95, 3.95]).tolist() == image[3:4, 5:6].tolist()
    assert pixel_span(-3, -1, 10) == (0, 1) and pixel_span(12, 15, 10) == (9, 10)
    wide = widen_boxes(np.array([[2, 1, 4, 3]]), 0.5, (4, 6))
    assert wide.tolist() == [[1, 0, 5, 4]]


def test_covers_by_hand() -> None:
    cover = box_cover([1, 0, 6, 4], (8, 8), (2, 2))
    np.testing.assert_allclose(cover, [[0.75, 0.5], [0, 0]])
    mask = np.zeros((8, 8), bool)
    mask[:4, 1:6] = True
    np.testing.assert_allclose(mask_cover(mask, (2, 2)), cover, atol=1e-6)
    assert mask_boxes(mask[None]).tolist() == [[1, 0, 6, 4]]
