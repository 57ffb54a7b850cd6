"""Marks and FGVP: pixels by hand, the blur against SciPy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from dense.methods.looking.ask import build_looker
from dense.methods.looking.base import asked_regions
from dense.methods.looking.marks import Marked, area_mask, blurred, draw_outline, grey, shrink_mask
from tests.helpers import photo, tiny_backbone

IMAGE = photo(64, 64)


def pictures(looker: Marked, boxes: list, masks: np.ndarray | None = None) -> list[np.ndarray]:
    regions = asked_regions((64, 64), np.array(boxes, np.float32), masks)
    return list(looker.pictures(IMAGE, (64, 64), regions))


def test_areas_by_hand() -> None:
    box = area_mask("box", np.array([1.0, 2.0, 4.0, 4.0]), (6, 6), None)
    expected = np.zeros((6, 6), bool)
    expected[2:4, 1:4] = True
    np.testing.assert_array_equal(box, expected)
    circle = area_mask("circle", np.array([0.0, 0.0, 4.0, 4.0]), (5, 5), None)
    corners = np.zeros((5, 5), bool)
    corners[:4, :4] = True
    corners[[0, 0, 3, 3], [0, 3, 0, 3]] = False  # centres 1.5 √2 = 2.12 from the middle
    np.testing.assert_array_equal(circle, corners)
    for area in ("box", "circle"):
        dot = area_mask(area, np.array([3.6, 1.6, 3.9, 1.9]), (6, 6), None)
        assert np.argwhere(dot).tolist() == [[1, 3]]  # smaller than a pixel


def test_the_blur_is_scipys() -> None:
    smooth = gaussian_filter(IMAGE.astype(float), (3, 3, 0), mode="nearest")
    inner = np.s_[12:-12, 12:-12]  # Pillow repeats boxes, and the border with each of them
    difference = np.abs(blurred(IMAGE, 3.0).astype(float) - smooth)[inner]
    assert difference.max() < 4 and difference.mean() < 1
    assert np.ptp(blurred(IMAGE, 100.0)[..., 0].astype(int)) < np.ptp(IMAGE[..., 0].astype(int)) / 4


def test_fgvp_keeps_the_inside_and_blurs_the_rest() -> None:
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 10:30, 20:50] = True
    looker = build_looker(tiny_backbone(), "fgvp")
    (drawn,) = pictures(looker, [[20, 10, 50, 30]], mask)
    np.testing.assert_array_equal(drawn[mask[0]], IMAGE[mask[0]])
    soft = blurred(IMAGE, 64 * 100 / 384)
    np.testing.assert_array_equal(drawn[~mask[0]], soft[~mask[0]])
    (boxed,) = pictures(looker, [[20, 10, 50, 30]])  # without a mask, the box stands for it
    np.testing.assert_array_equal(boxed, drawn)


def test_ensembles_are_views() -> None:
    mask = np.zeros((1, 64, 64), bool)
    mask[0, 10:30, 20:50] = True
    looker = build_looker(tiny_backbone(), "fgvp-ensemble", settings={"colour": "#0000ff"})
    contour, shades, soft = pictures(looker, [[20, 10, 50, 30]], mask)
    line = (contour != IMAGE).any(-1)
    assert (contour[line] == [0, 0, 255]).all()
    edge = mask[0].copy()
    edge[11:29, 21:49] = False
    np.testing.assert_array_equal(line, edge)  # one pixel wide, along the mask
    np.testing.assert_array_equal(shades[~mask[0]], grey(IMAGE)[~mask[0]])
    assert (soft[mask[0]] == IMAGE[mask[0]]).all()
    circles = build_looker(tiny_backbone(), "red-circle-ensemble")
    assert circles.marks == ("circle", "circle-grey", "circle-blur")
    given = build_looker(tiny_backbone(), "red-circle", settings={"marks": "box,contour"})
    assert given.marks == ("box", "contour")


def test_a_red_circle_touches_the_box_and_a_box_its_corners() -> None:
    looker = build_looker(tiny_backbone(), "red-circle")
    (drawn,) = pictures(looker, [[10, 20, 40, 50]])
    red = (drawn != IMAGE).any(-1)
    assert (drawn[red] == [255, 0, 0]).all()
    ys, xs = np.nonzero(red)
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (10, 40, 20, 50)
    assert not red[35, 25] and red[35, 10] and red[20, 25] and not red[20, 10]
    (boxed,) = pictures(build_looker(tiny_backbone(), "red-box"), [[10, 20, 40, 50]])
    assert (boxed[20, 10] == [255, 0, 0]).all() and (boxed[50, 40] == [255, 0, 0]).all()
    assert (boxed[21:50, 11:40] == IMAGE[21:50, 11:40]).all()


def test_the_picture_that_came_in_is_untouched() -> None:
    before = IMAGE.copy()
    draw_outline(IMAGE, "box", np.array([1.0, 1.0, 9.0, 9.0]), None, (255, 0, 0), 3)
    pictures(build_looker(tiny_backbone(), "red-circle-ensemble"), [[1, 1, 9, 9]])
    np.testing.assert_array_equal(IMAGE, before)


def test_boxes_follow_the_squashed_picture() -> None:
    looker, backbone = build_looker(tiny_backbone(), "red-box"), tiny_backbone()
    wide = photo(32, 128)
    small = backbone.preprocess.resize(wide, (32, 32))
    regions = asked_regions((32, 128), np.array([[40, 8, 80, 24]]))
    (drawn,) = looker.pictures(small, (32, 128), regions)
    ys, xs = np.nonzero((drawn != small).any(-1))
    assert (xs.min(), xs.max(), ys.min(), ys.max()) == (10, 20, 8, 24)


def test_tiny_masks_survive_shrinking() -> None:
    mask = np.zeros((64, 64), bool)
    mask[13, 13] = True
    assert np.argwhere(shrink_mask(mask, (8, 8))).tolist() == [[1, 1]]
