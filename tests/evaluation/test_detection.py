"""Average precision by hand and against pycocotools; novel and base columns; LVIS's rules."""

from __future__ import annotations

import contextlib
import io
import json

import numpy as np
import pytest

from dense.datasets.open_vocabulary import (
    OV_COCO_BASE,
    OV_COCO_NOVEL,
    Split,
    coco_split,
    find_split,
    lvis_split,
)
from dense.errors import InputError
from dense.evaluation.detection import average_precision, coco_rows
from dense.structures import DetectionResult

pytest.importorskip("faster_coco_eval")


def truth(boxes: int = 2) -> dict[str, object]:
    """Two pictures; cat at the left of both, dog at the right of the first."""
    rows = [
        {"id": 1, "image_id": 1, "category_id": 10, "bbox": [0, 0, 40, 40]},
        {"id": 2, "image_id": 1, "category_id": 20, "bbox": [50, 0, 40, 40]},
        {"id": 3, "image_id": 2, "category_id": 10, "bbox": [0, 0, 40, 40]},
    ]
    return {
        "images": [{"id": 1, "height": 100, "width": 100}, {"id": 2, "height": 100, "width": 100}],
        "categories": [
            {"id": 10, "name": "cat", "frequency": "f"},
            {"id": 20, "name": "dog", "frequency": "r"},
        ],
        "annotations": rows[: boxes + 1],
    }


def found(image: int, category: int, box: list[float], score: float) -> dict[str, object]:
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


LEFT, RIGHT = [0.0, 0, 40, 40], [50.0, 0, 40, 40]


def test_precision_by_hand() -> None:
    """Cat: both found, a false one between: AP = mean over 101 recalls of 1 (≤ ½) and ⅔."""
    rows = [
        found(1, 10, LEFT, 0.9),
        found(1, 10, [0, 60, 20, 20], 0.8),
        found(2, 10, LEFT, 0.7),
        found(1, 20, RIGHT, 0.5),
    ]
    scores = average_precision(truth(), rows, split=Split(novel=(20,), base=(10,)))
    cat = 100 * (51 + 50 * 2 / 3) / 101
    assert scores["base_ap50"] == pytest.approx(cat, abs=1e-4)
    assert scores["novel_ap50"] == pytest.approx(100)
    assert scores["ap50"] == pytest.approx((cat + 100) / 2, abs=1e-4)
    only = average_precision(truth(), rows, split=Split(novel=(20,), base=()))
    assert only["ap50"] == pytest.approx(100) and np.isnan(only["base_ap50"])


def test_a_loose_box_counts_below_its_overlap_alone() -> None:
    """A box of 40 × 30 in 40 × 40: overlap .75 counts at .5, .55, ..., .75 of ten thresholds."""
    one = truth(1)
    one["annotations"] = one["annotations"][:1]  # type: ignore[index]
    scores = average_precision(one, [found(1, 10, [0, 0, 40, 30], 0.9)])
    assert scores["ap"] == pytest.approx(60) and scores["ap75"] == pytest.approx(100)
    assert scores["ap_medium"] == pytest.approx(60) and np.isnan(scores["ap_large"])


def test_equal_to_pycocotools_on_random_boxes() -> None:
    coco = pytest.importorskip("pycocotools.coco")
    evaluation = pytest.importorskip("pycocotools.cocoeval")
    rng = np.random.default_rng(0)

    def box() -> list[float]:
        return [*rng.integers(0, 60, 2).tolist(), *rng.integers(10, 40, 2).tolist()]

    content = truth()
    content["annotations"] = [
        {"id": n + 1, "image_id": 1 + n % 2, "category_id": 10 * (1 + n % 2), "bbox": box(),
         "area": 400, "iscrowd": 0}
        for n in range(12)
    ]  # fmt: skip
    rows = [
        found(1 + n % 2, 10 * (1 + n // 2 % 2), box(), float(rng.random())) for n in range(60)
    ] + [
        found(r["image_id"], r["category_id"], [b + 1 for b in r["bbox"]], float(rng.random()))
        for r in content["annotations"]  # type: ignore[attr-defined]
    ]
    ours = average_precision(content, rows)
    with contextlib.redirect_stdout(io.StringIO()):
        data = coco.COCO()
        data.dataset = {"info": {}, **content}
        data.createIndex()
        theirs = evaluation.COCOeval(data, data.loadRes(rows), "bbox")
        for step in (theirs.evaluate, theirs.accumulate, theirs.summarize):
            step()
    wanted = [100 * theirs.stats[place] for place in (0, 1, 2, 8)]
    assert [ours["ap"], ours["ap50"], ours["ap75"], ours["ar"]] == pytest.approx(wanted, abs=1e-6)


def test_masks() -> None:
    mask = np.zeros((1, 100, 100), bool)
    mask[0, :40, :40] = True
    result = DetectionResult(
        np.array([[0, 0, 40, 40]], np.float32),
        np.array([0.9], np.float32),
        np.array([0]),
        ("cat", "dog"),
        mask,
    )
    rows = coco_rows(result, 1, (10, 20))
    assert rows[0]["bbox"] == LEFT and rows[0]["category_id"] == 10
    one = truth(1)
    one["annotations"] = [{**one["annotations"][0], "segmentation": rows[0]["segmentation"]}]  # type: ignore[index]
    assert average_precision(one, rows, kind="segm")["ap"] == pytest.approx(100)
    with pytest.raises(InputError, match="detections with masks"):
        average_precision(one, [found(1, 10, LEFT, 0.5)], kind="segm")


def test_lvis_leaves_unlabelled_classes_alone() -> None:
    content = truth()
    for row, none in zip(content["images"], ([], [20]), strict=True):  # type: ignore[call-overload]
        row |= {"neg_category_ids": none, "not_exhaustive_category_ids": []}
    rows = [found(1, 10, LEFT, 0.9), found(2, 10, LEFT, 0.9), found(1, 20, RIGHT, 0.5)]
    scores = average_precision(content, rows, lvis=True)
    assert (scores["ap"], scores["ap_f"], scores["ap_r"]) == pytest.approx((100, 100, 100))
    wrong = [*rows, found(2, 20, LEFT, 0.95)]
    assert average_precision(content, wrong, lvis=True)["ap_r"] == pytest.approx(50)
    content["images"][1]["neg_category_ids"] = []  # type: ignore[index]
    assert average_precision(content, wrong, lvis=True)["ap_r"] == pytest.approx(100)


def test_nothing_found_is_zero() -> None:
    scores = average_precision(truth(), [], split=Split((20,), (10,)))
    assert scores["novel_ap50"] == scores["ap"] == scores["ar"] == scores["ap_medium"] == 0
    assert np.isnan(scores["ap_large"])  # nor is there anything large
    assert np.isnan(average_precision(truth(0), [], split=Split((20,), (10,)))["novel_ap"])
    assert average_precision(truth(), [], kind="segm")["ap75"] == 0
    for row in (lvis := truth())["images"]:  # type: ignore[attr-defined]
        row |= {"neg_category_ids": [], "not_exhaustive_category_ids": []}
    assert average_precision(lvis, [], lvis=True)["ap_r"] == 0


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (found(7, 10, LEFT, 0.5), "image_id 7"),
        (found(1, 77, LEFT, 0.5), "category_id 77"),
    ],
)
def test_unknown_ids(row: dict, message: str) -> None:
    with pytest.raises(InputError, match=f"{message}, which the annotations do not list"):
        average_precision(truth(), [row])


def test_other_bad_input() -> None:
    with pytest.raises(InputError, match="unknown kind of average precision"):
        average_precision(truth(), [], kind="keypoints")
    with pytest.raises(InputError, match="list no images"):
        average_precision({**truth(), "images": []}, [])


def test_splits(tmp_path) -> None:
    assert (len(OV_COCO_NOVEL), len(OV_COCO_BASE)) == (17, 48)
    assert len({*OV_COCO_NOVEL, *OV_COCO_BASE}) == 65
    categories = [{"id": n, "name": x} for n, x in enumerate([*OV_COCO_NOVEL, *OV_COCO_BASE, "x"])]
    split = coco_split(categories)
    assert split.novel == tuple(range(17)) and split.base == tuple(range(17, 65))
    with pytest.raises(InputError, match="OV-COCO needs COCO's class names"):
        coco_split(categories[1:])
    assert lvis_split(truth()["categories"]) == Split((20,), (10,))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="frequency r, c or f"):
        lvis_split(categories)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(truth()))
    assert find_split(path, "lvis").novel == (20,)
    with pytest.raises(InputError, match="unknown split"):
        find_split(path, "voc")
