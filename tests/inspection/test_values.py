"""Decisions, defects, views and gates as values: hand-worked places, round trips, refusals."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from dense.errors import InputError
from dense.inspection.decision import (
    Decision,
    Defect,
    Evidence,
    Guarantee,
    Reason,
    decision_id,
    refuse,
)
from dense.inspection.defects import defect_mask, find_defects
from dense.inspection.quality import Gates, check_quality, fit_gates, measure, shift, thumbnail
from dense.inspection.view import View, fill_polygon, read_view
from dense.methods.anomaly.tiles import Tiling
from dense.structures import AnomalyResult, Sample
from tests.helpers import photo

SHA = "0" * 64


def test_the_id_names_product_version_source_and_content() -> None:
    name = decision_id("nut", 1, "a.png", SHA)
    assert name == decision_id("nut", 1, "a.png", SHA) and len(name) == 32
    others = [("bolt", 1, "a.png", SHA), ("nut", 2, "a.png", SHA), ("nut", 1, "b.png", SHA)]
    others.append(("nut", 1, "a.png", "1" * 64))
    assert len({name, *(decision_id(*other) for other in others)}) == 5


def test_a_refusal_as_json() -> None:
    decision = refuse("nut", 3, "a.png", SHA, [Reason("unreadable", "cut short")])
    content = json.loads(json.dumps(decision.to_json()))
    assert content["verdict"] == "refused" and content["score"] is None
    assert content["reasons"] == [{"code": "unreadable", "text": "cut short", "region": ""}]
    assert datetime.fromisoformat(content["judged_at"]).tzinfo is not None


def test_impossible_decisions() -> None:
    now = datetime.now(timezone.utc)
    name = decision_id("nut", 1, "a", SHA)
    why = (Reason("defect", "x"),)
    with pytest.raises(InputError, match="unless it passes"):
        Decision(name, "nut", 1, "a", SHA, now, "reject")
    with pytest.raises(InputError, match="unless it passes"):
        Decision(name, "nut", 1, "a", SHA, now, "pass", why)
    with pytest.raises(InputError, match=r"Decision.id must be"):
        Decision("x", "nut", 1, "a", SHA, now, "pass")
    with pytest.raises(InputError, match="time zone"):
        Decision(name, "nut", 1, "a", SHA, now.replace(tzinfo=None), "pass")
    with pytest.raises(InputError, match="score must be finite"):
        Decision(name, "nut", 1, "a", SHA, now, "pass", score=float("nan"))
    with pytest.raises(InputError, match="one of pass, reject, refused"):
        Decision(name, "nut", 1, "a", SHA, now, "good", why)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="64 lower-case"):
        decision_id("nut", 1, "a", "xyz")
    with pytest.raises(InputError, match=r"Reason.code"):
        Reason("rust", "x")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="xyxy"):
        Defect((5, 0, 5, 2), 1, (5, 1), 1.0)
    with pytest.raises(InputError, match="area_px"):
        Defect((0, 0, 2, 2), 5, (1, 1), 1.0)
    with pytest.raises(InputError, match="centre"):
        Defect((0, 0, 2, 2), 4, (3, 1), 1.0)
    with pytest.raises(InputError, match="alpha"):
        Guarantee(0.0, 0.0, "split", 3, "")
    with pytest.raises(InputError, match="bound"):
        Guarantee(0.1, 1.5, "split", 3, "")
    with pytest.raises(InputError, match="agree in size"):
        Evidence(np.zeros((2, 2), np.float32), np.zeros((3, 2), np.bool_))


def test_defects_by_hand() -> None:
    values = np.zeros((6, 8), np.float32)
    values[1:3, 2:5] = [[1, 2, 3], [4, 5, 6]]
    values[5, 7] = 9
    words = {"dent": np.full((6, 8), 0.2, np.float32), "scratch": values / 10}
    mask = defect_mask(values, 0.5, None)
    (small, large), whole = find_defects(values, {"": mask}, words, 0.5)
    assert (small.box, small.area_px, small.centre, small.peak) == ((7, 5, 8, 6), 1, (7.5, 5.5), 9)
    assert (large.box, large.area_px, large.centre) == ((2, 1, 5, 3), 6, (3.5, 2.0))
    assert (large.area_mm2, large.centre_mm) == (1.5, (1.75, 1.0))
    assert list(large.words.items()) == [
        ("scratch", pytest.approx(0.35)),
        ("dent", pytest.approx(0.2)),
    ]
    assert whole.sum() == 7


def test_diagonal_neighbours_are_one_defect_and_regions_do_not_count_twice() -> None:
    mask = np.eye(4, dtype=np.bool_)
    values = mask.astype(np.float32)
    found, _ = find_defects(values, {"a": mask, "b": np.ones((4, 4), np.bool_)}, {}, None)
    assert sorted((one.region, one.area_px) for one in found) == [("a", 4), ("b", 12)]
    assert found[0].area_mm2 is None


def test_a_diffuse_score_shows_its_top_pixels() -> None:
    values = np.arange(400, dtype=np.float32).reshape(20, 20)
    region = np.zeros((20, 20), np.bool_)
    region[:10] = True
    mask = defect_mask(values, 1000.0, region)
    assert mask.sum() == 2 and mask[9, 18:].all()


def test_polygon_by_pixel_centres() -> None:
    square = np.array([[1, 1], [4, 1], [4, 3], [1, 3]], np.float64)
    mask = fill_polygon(square, (5, 6))
    assert mask[1:3, 1:4].all() and mask.sum() == 6
    triangle = fill_polygon(np.array([[0, 0], [4, 0], [0, 4]], np.float64), (4, 4))
    assert triangle.sum(1).tolist() == [3, 2, 1, 0]
    bow = fill_polygon(np.array([[0, 0], [4, 4], [4, 0], [0, 4]], np.float64), (4, 4))
    assert bow[1].tolist() == [True, False, True, True]  # a centre on a side is to its right


def test_view_frame_scores_and_unseen_pixels() -> None:
    size = (40, 60)
    left, right = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    left[2:38, 4:20], right[2:38, 30:50] = True, True
    ignore = np.zeros(size, np.bool_)
    ignore[2:6], ignore[8] = True, True
    view = View(size, {"left": left, "right": right}, ignore)
    assert view.frame == (6, 4, 38, 50)
    (part,) = view.cut(Sample(photo(40, 60)), (32, 32))
    assert part.image.shape == (32, 46, 3)
    values = np.zeros((32, 46), np.float32)
    values[10, 3], values[20, 20] = 5.0, 9.0  # in left; between the regions
    values[2, 3] = 7.0  # ignored
    result = view.join([AnomalyResult(values, 1.0)], size, (32, 32))
    assert result.anomaly_map.shape == size and result.anomaly_map.max() == 5.0
    assert result.anomaly_map[26, 24] == 0.0 and result.anomaly_map[8, 7] == 0.0
    scores = view.scores(result)
    assert scores["left"] == pytest.approx(5.0 / round(0.01 * 31 * 16)) and scores["right"] == 0.0
    assert view.peaks(result) == {"left": 5.0, "right": 0.0}


def test_view_without_regions_is_the_picture_and_the_methods_score() -> None:
    view = View()
    result = AnomalyResult(np.eye(3, dtype=np.float32), 0.7)
    assert view.names == ("",) and view.scores(view.join([result], (3, 3), (8, 8))) == {"": 0.7}


def test_tiles_join_to_the_picture_and_the_worst_score() -> None:
    view = View(tiling=Tiling("square"))
    parts = view.cut(Sample(photo(32, 128)), (32, 32))
    assert len(parts) == 5 and all(part.image.shape == (32, 32, 3) for part in parts)
    results = [AnomalyResult(np.full((32, 32), 2.0, np.float32), float(n)) for n in range(5)]
    joined = view.join(results, (32, 128), (32, 32))
    assert joined.score == 4.0
    np.testing.assert_allclose(joined.anomaly_map, 2.0, rtol=1e-6)


@pytest.mark.parametrize("tiling", [Tiling("square"), Tiling("native"), Tiling("native", 0.5)])
def test_tiles_cover_all_that_is_seen_and_hold_small_defects_whole(tiling: Tiling) -> None:
    size, rng = (70, 500), np.random.default_rng(0)
    left, right = np.zeros(size, np.bool_), np.zeros(size, np.bool_)
    left[5:66, 20:180], right[10:60, 420:490] = True, True
    for view in (View(tiling=tiling), View(size, {"a": left, "b": right}, tiling=tiling)):
        seen = np.ones(size, np.bool_) if view.seen is None else view.seen
        boxes = view.boxes(size, (32, 32))
        covered = np.zeros(size, np.bool_)
        for top, left_end, bottom, right_end in boxes:
            assert seen[top:bottom, left_end:right_end].any()
            covered[top:bottom, left_end:right_end] = True
        assert covered[seen].all()
        side = int((1 - tiling.step) * (boxes[0][2] - boxes[0][0]))
        for top, start in rng.integers(0, (size[0] - side, size[1] - side), (500, 2)):
            if seen[top : top + side, start : start + side].all():
                assert any(
                    a <= top and b <= start and top + side <= c and start + side <= d
                    for a, b, c, d in boxes
                )
        maps = [np.full((4, 4), 2.0, np.float32)] * len(boxes)
        np.testing.assert_allclose(view.join_map(maps, size, (32, 32)), 2.0, rtol=1e-6)


def test_view_as_json() -> None:
    size = (20, 30)
    mask = np.zeros(size, np.bool_)
    mask[3:9, 4:20] = True
    view = View(size, {"a": mask}, ~mask & (np.indices(size)[0] > 12), Tiling("native", 0.5, 2.0))
    again = View.from_json(json.loads(json.dumps(view.to_json())))
    assert again.to_json() == view.to_json() and again.frame == view.frame
    np.testing.assert_array_equal(again.masks["a"], view.masks["a"])


def test_regions_from_files(tmp_path: Path) -> None:
    size = (20, 30)
    marked = np.zeros(size, np.uint8)
    marked[2:5, 2:5], marked[10:, 10:] = 1, 2
    Image.fromarray(marked).save(tmp_path / "two.png")
    view = read_view(tmp_path / "two.png", size)
    assert view.names == ("region 1", "region 2") and view.regions["region 1"].sum() == 9
    content = {"regions": {"top": [[0, 0], [30, 0], [30, 4], [0, 4]]}, "ignore": ["two.png"]}
    (tmp_path / "roi.json").write_text(json.dumps(content))
    view = read_view(tmp_path / "roi.json", size)
    assert view.names == ("top",) and view.masks["top"].sum() == 4 * 30 - 6


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ('{"regions": {"a": [[0, 0], [99, 0], [5, 5]]}}', "leaves the picture of 30 × 20"),
        ('{"regions": {"a": [[0, 0], [5, 5]]}}', "at least three corners"),
        ('{"regions": {"a": "../other.png"}}', "must lie beside it"),
        ('{"regions": {"": [[0, 0], [5, 0], [5, 5]]}}', "at least one letter"),
        ('{"regions": {"a": [["x", 0], [5, 0], [5, 5]]}}', "list of corners"),
        ("[1]", "cannot read regions"),
        ("{", "cannot read regions"),
    ],
)
def test_bad_region_files(tmp_path: Path, content: str, match: str) -> None:
    (tmp_path / "roi.json").write_text(content)
    with pytest.raises(InputError, match=match):
        read_view(tmp_path / "roi.json", (20, 30))


def test_bad_views(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(tmp_path / "none.png")
    with pytest.raises(InputError, match="1 to 64 regions"):
        read_view(tmp_path / "none.png", (20, 30))
    whole = np.ones((4, 4), np.bool_)
    with pytest.raises(InputError, match="no pixel left"):
        View((4, 4), {"a": whole}, whole)
    with pytest.raises(InputError, match="has the size"):
        View((4, 5), {"a": whole})
    huge = {"size": [1 << 20, 1 << 20], "regions": {}, "ignore": None, "tiling": {}}
    with pytest.raises(InputError, match="a size is"):
        View.from_json(huge)
    with pytest.raises(InputError, match="by name"):
        View.from_json({"size": None, "regions": [], "ignore": None, "tiling": {}})


def gates(*images: np.ndarray) -> Gates:
    return fit_gates([measure(image) for image in images], [thumbnail(image) for image in images])


def test_quality_gates_name_what_is_wrong() -> None:
    rng = np.random.default_rng(0)
    good = (photo(128, 128) // 2 + rng.integers(0, 90, (128, 128, 3))).astype(np.uint8)
    limits = gates(good, good)
    blurred = cv2.GaussianBlur(good, (0, 0), 4)

    def codes(image: np.ndarray) -> list[str]:
        return [reason.code for reason in check_quality(measure(image), limits)]

    assert codes(good) == []
    assert codes(blurred) == ["blur"]
    assert "dark" in codes((good * 0.3).astype(np.uint8))
    assert "bright" in codes(np.clip(good.astype(int) + 120, 0, 255).astype(np.uint8))


def test_shift_by_hand_and_only_for_aligned_support() -> None:
    rng = np.random.default_rng(1)
    part = np.zeros((128, 128, 3), np.uint8)
    part[40:80, 50:90] = rng.integers(60, 255, (40, 40, 3))
    moved = np.roll(part, (16, 12), (0, 1))
    assert shift(thumbnail(moved), [thumbnail(part)]) == pytest.approx(20 / 128, abs=0.01)
    limits = gates(part, np.roll(part, 1, 0))
    assert limits.shift is not None and 0.1 <= limits.shift <= 0.12
    reasons = check_quality(measure(moved), limits, moved=20 / 128)
    assert [reason.code for reason in reasons] == ["pose"]
    assert gates(part).shift is None
    assert gates(part, moved).shift is None


def test_pictures_of_a_texture_have_no_pose() -> None:
    rng = np.random.default_rng(2)
    texture, *others = (
        cv2.resize(rng.integers(0, 255, (48, 48, 3), np.uint8), (128, 128)) for _ in range(4)
    )
    assert shift(thumbnail(texture), [thumbnail(other) for other in others]) == 0
    assert gates(texture, *others).shift is None


def test_a_repeating_pattern_has_not_moved_by_a_period() -> None:
    rng = np.random.default_rng(0)
    bars = np.tile(np.repeat([60, 200], [4, 12]), 8)[None].repeat(128, 0)[..., None].repeat(3, 2)
    one, other = (
        np.clip(bars + rng.normal(0, 8, bars.shape), 0, 255).astype(np.uint8) for _ in range(2)
    )
    moved = np.roll(other, 16, 1)  # a period
    half = np.roll(other, 6, 1)
    assert shift(thumbnail(moved), [thumbnail(one)]) == 0
    assert shift(thumbnail(half), [thumbnail(one)]) > 0
    flat = np.full((128, 128), 7, np.uint8)
    assert shift(flat, [flat]) == 0


def test_more_support_only_widens_the_gates() -> None:
    few, more = gates(photo(seed=0), photo(seed=1)), gates(*(photo(seed=n) for n in range(4)))
    assert more.sharpness <= few.sharpness and more.darkest <= few.darkest
    assert more.brightest >= few.brightest and more.dark >= few.dark


def test_gates_as_json() -> None:
    limits = gates(photo(seed=0), photo(seed=1))
    assert Gates.from_json(json.loads(json.dumps(limits.to_json()))) == limits
    with pytest.raises(InputError, match="finite numbers"):
        Gates.from_json({**limits.to_json(), "dark": "x"})
