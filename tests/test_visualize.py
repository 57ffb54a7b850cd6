"""Pictures checked pixel by pixel against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dense.errors import InputError
from dense.fonts import font_for, shorten, text_size
from dense.structures import AnomalyResult, DetectionResult, SegmentationResult
from dense.visualize import (
    draw_anomaly,
    draw_contour,
    draw_detections,
    draw_segmentation,
    heat_bar,
    legend_strip,
    mask_palette,
    palette,
    side_by_side,
)

ORANGE, SKY = (0xE6, 0x9F, 0x00), (0x56, 0xB4, 0xE9)


def _halves() -> tuple[np.ndarray, SegmentationResult]:
    """A grey 6x8 picture; left half class 0, right half class 1, the last row undecided."""
    class_map = np.zeros((6, 8), np.int64)
    class_map[:, 4:] = 1
    class_map[5] = 255
    return np.full((6, 8, 3), 100, np.uint8), SegmentationResult(class_map, ("cat", "dog"))


def test_segmentation_blends_colours_and_draws_contours():
    image, result = _halves()
    out = draw_segmentation(image, result, opacity=0.25, legend=False)
    assert out.shape == image.shape and out.dtype == np.uint8
    assert out[0, 0].tolist() == np.rint(75 + 0.25 * np.array(ORANGE)).tolist()
    assert out[0, 7].tolist() == np.rint(75 + 0.25 * np.array(SKY)).tolist()
    assert out[0, 3].tolist() == list(ORANGE)  # contour: last pixel of the left class
    assert out[4, 0].tolist() == list(ORANGE)  # contour above the undecided row
    assert (out[5] == 100).all()  # undecided stays
    assert (image == 100).all()  # input untouched


def test_hidden_classes_stay_as_they_are():
    image, result = _halves()
    out = draw_segmentation(image, result, legend=False, hidden=(0,))
    assert (out[:, :4] == 100).all() and (out[0, 5] != 100).any()


def test_opacity_ends():
    image, result = _halves()
    assert (draw_segmentation(image, result, opacity=1.0, legend=False)[0, 0] == ORANGE).all()
    clear = draw_segmentation(image, result, opacity=0.0, legend=False)
    assert (clear[0, 0] == 100).all() and (clear[0, 3] == ORANGE).all()


def test_index_255_is_a_class_of_its_own_in_long_vocabularies():
    class_map = np.array([[255, 65535]])
    result = SegmentationResult(class_map, tuple(f"c{k}" for k in range(300)))
    out = draw_segmentation(np.zeros((1, 2, 3), np.uint8), result, opacity=1.0, legend=False)
    assert out[0, 0].tolist() == palette(300)[255].tolist() and out[0, 1].tolist() == [0, 0, 0]


def _colours_in(picture: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in row) for row in picture.reshape(-1, 3)}


def test_legend_lists_only_classes_present_and_leaves_the_picture_in_place():
    image, result = _halves()
    only = SegmentationResult(np.ones((6, 8), np.int64), ("cat", "dog", "cow"))
    out = draw_segmentation(image, only, opacity=0.5)
    assert out.shape[1] == 240
    assert (out[:6, 8:] == 255).all()  # a small picture is padded with paper
    colours = _colours_in(out[6:])
    assert SKY in colours and ORANGE not in colours
    assert _colours_in(draw_segmentation(image, result)[6:]) >= {ORANGE, SKY}
    forced = draw_segmentation(image, only, legend_classes=[0, 1, 2])
    assert ORANGE in _colours_in(forced[6:])


def test_legend_swatch_is_as_high_as_the_letters():
    strip = legend_strip(["cat"], [0], (260, 300))
    rows = np.flatnonzero((strip == ORANGE).all(-1).any(1))
    assert len(rows) == 13 and strip.shape[1] == 300


def test_legend_wraps_counts_the_rest_and_says_when_it_is_empty():
    names = [f"a rather long class name {k}" for k in range(40)]
    tall = legend_strip(names, range(40), (300, 300))
    short = legend_strip(names, [0], (300, 300))
    assert tall.shape[0] > 20 * 13 and short.shape[0] < 40
    assert (legend_strip(names, [], (300, 300)) != 255).any()


@pytest.mark.parametrize(
    "name", ["кошка", "γάτα", "قطة", "猫", "ねこ", "고양이", "\u0ca0", "😀", ""]
)
def test_any_script_gives_ink_and_no_crash(name):
    strip = legend_strip([name], [0], (300, 400))
    ink = (strip.astype(int).sum(-1) < 200).sum()
    assert ink > 2  # letters, or the stand-in "class 0"


def test_cyrillic_and_greek_are_drawn_with_a_font_that_has_them():
    assert font_for("кошка γάτα", 16) is not None
    assert font_for("\U0010fffd\U000f1234", 16) is None


def test_shorten_fits():
    text = shorten("w" * 500, 16, 120)
    assert text.endswith("…") and text_size(text, 16)[1] <= 120
    assert shorten("a\nb", 16, 500) == "a b"


def test_first_colours_are_distinct_and_stable():
    assert palette(2).tolist() == [list(ORANGE), list(SKY)]
    assert len(_colours_in(palette(64))) == 64
    assert (palette(300)[:16] == palette(16)).all()
    mask = mask_palette(3)
    assert (mask[:3] == palette(3)).all() and (mask[255] == 255).all() and (mask[3:255] == 0).all()


def test_heat_keeps_cold_pixels_and_is_stable_across_pictures():
    image = np.full((4, 4, 3), 80, np.uint8)
    low, high = np.full((4, 4), 0.2, np.float32), np.full((4, 4), 0.2, np.float32)
    low[0, 0], high[0, 0], high[3, 3] = 0.5, 0.5, 9.0
    first = draw_anomaly(image, AnomalyResult(low, 0.5), scale=(0.2, 0.8))
    second = draw_anomaly(image, AnomalyResult(high, 9.0), scale=(0.2, 0.8))
    assert (first[1, 1] == 80).all()
    assert (first[0, 0] == second[0, 0]).all() and (first[0, 0] != 80).any()
    hottest = np.array([252, 255, 164])  # the upper end of "inferno"
    expected = np.rint(80 * 0.35 + hottest * 0.65)
    assert np.abs(second[3, 3].astype(int) - expected).max() <= 2


def test_heat_survives_nan_and_refuses_a_flat_scale():
    image, values = np.zeros((2, 2, 3), np.uint8), np.full((2, 2), np.nan, np.float32)
    assert (draw_anomaly(image, AnomalyResult(values, 0.0), scale=(0, 1)) == 0).all()
    with pytest.raises(InputError, match="must rise"):
        draw_anomaly(image, AnomalyResult(values, 0.0), scale=(1, 1))


def test_mask_contour_is_drawn_on_its_border_only():
    mask = np.zeros((30, 30), bool)
    mask[10:20, 10:20] = True
    image = np.full((30, 30, 3), 60, np.uint8)
    values = np.zeros((30, 30), np.float32)
    out = draw_anomaly(image, AnomalyResult(values, 0.0, mask, True), scale=(0, 1))
    assert (out[10, 10:20] == 255).all() and (out[14:16, 14:16] == 60).all()
    assert (out[:8] == 60).all() and (out[9, 12] == 16).all()  # dark rim outside
    assert (draw_contour(image, mask, (0, 255, 255))[10, 12] == (0, 255, 255)).all()


def test_heat_bar_runs_from_cold_to_hot():
    bar = heat_bar((0.25, 0.75), (300, 400))
    row = bar[bar.shape[0] // 2].astype(int).sum(-1)
    run = row[100:300]
    assert bar.shape[1] == 400 and (np.diff(run) >= -3).all() and run[-1] > run[0] + 250


def test_side_by_side_sets_one_height():
    a, b = np.full((20, 10, 3), 10, np.uint8), np.full((40, 60, 3), 200, np.uint8)
    out = side_by_side([a, b], ["", "кот"])
    gap = out.shape[1] - 20 - 60
    assert out.shape[0] > 40 and gap > 0
    assert (out[:40, :20] == 10).all() and (out[:40, 20 : 20 + gap] == 255).all()
    assert (out[:40, 20 + gap :] == 200).all()
    with pytest.raises(InputError, match="one caption a picture"):
        side_by_side([a], [])


def test_detections_have_boxes_masks_and_names():
    image = np.zeros((100, 120, 3), np.uint8)
    masks = np.zeros((1, 100, 120), bool)
    masks[0, 60:70, 60:70] = True
    result = DetectionResult(
        np.array([[40, 50, 110, 90]], np.float32),
        np.array([0.9], np.float32),
        np.array([1]),
        ("cat", "dog"),
        masks,
    )
    out = draw_detections(image, result, opacity=0.5)
    assert (out[90, 60:100] == SKY).all() and (out[70:80, 110] == SKY).all()
    assert (out[65, 65] == np.rint(np.array(SKY) / 2)).all()
    assert (out[75, 80] == 0).all() and (image == 0).all()


def test_empty_detections_leave_the_picture():
    none = DetectionResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ("cat",)
    )
    image = np.full((5, 5, 3), 7, np.uint8)
    assert (draw_detections(image, none) == image).all()


def test_sizes_must_agree():
    result = SegmentationResult(np.zeros((2, 3), np.int64), ("a",))
    with pytest.raises(InputError, match="must have one size"):
        draw_segmentation(np.zeros((3, 2, 3), np.uint8), result)
