"""`dense detect`: what it writes, and how it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dense.datasets.boxes import read_boxes
from dense.images import read_image
from dense.methods.detection.detector import TO_LOOK_AT
from dense.rle import decode_rle
from tests.helpers import photo


def test_writes_pictures_results_and_coco(dense, folder, tmp_path):
    out = tmp_path / "out"
    ran = dense(
        "detect", folder, "--classes", "cat", "wooden table", "--threshold", 0, "--out", out
    )
    assert (ran.code, ran.err) == (0, "")
    results = json.loads((out / "results.json").read_text())
    assert results["class_names"] == ["cat", "wooden table"]
    assert results["method"]["background"] and results["method"]["proposals"] == "patch grouping"
    rows = json.loads((out / "coco.json").read_text())
    assert len(rows) == sum(len(record["objects"]) for record in results["images"]) > 0
    first = results["images"][0]
    assert first["image_id"] == 1 and read_image(out / first["picture"]).shape == (40, 56, 3)
    scores = [row["score"] for row in first["objects"]]
    assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
    x0, y0, x1, y1 = first["objects"][0]["box"]
    assert rows[0]["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=0.11)
    assert {row["category_id"] for row in rows} <= {1, 2}


def test_names_given_boxes_with_masks(dense, picture, tmp_path):
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"photo.png": [[2, 3, 30, 33], [0, 0, 56, 40]]}))
    ran = dense(
        "detect", picture, "--classes", "cat", "dog", "--boxes", boxes, "--masks", "--out", tmp_path
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    record = json.loads((tmp_path / "results.json").read_text())["images"][0]
    assert [row["box"] for row in record["objects"]] == [[2, 3, 30, 33], [0, 0, 56, 40]]
    mask = decode_rle(record["objects"][0]["mask"], (40, 56), "a")
    assert mask.any() and not mask[:, 30:].any()


def test_saved_proposals_are_boxes_again(dense, picture, tmp_path):
    saved = tmp_path / "proposals.json"
    dense("detect", picture, "--classes", "cat", "--save-proposals", saved, "--out", tmp_path / "a")
    found = read_boxes(saved)["photo.png"]
    assert len(found) > 3 and (found[:, 2:] > found[:, :2]).all()
    ran = dense(
        "detect", picture, "--classes", "cat", "--boxes", saved, "--out", tmp_path / "b"
    )  # fmt: skip
    record = json.loads((tmp_path / "b" / "results.json").read_text())["images"][0]
    assert ran.code == 0 and len(record["objects"]) == len(found)


def test_an_asked_word_is_no_background(dense, picture, tmp_path):
    ran = dense("detect", picture, "--classes", "Sky; heaven", "--out", tmp_path)
    assert ran.code == 0
    ran = dense("detect", picture, "--classes", "cat", "--background", "--out", tmp_path)
    assert ran.code == 0
    assert not json.loads((tmp_path / "results.json").read_text())["method"]["background"]


BOXES = {
    "outside": ('{"photo.png": [[60, 0, 90, 9]]}', "lies outside the picture of 56 × 40"),
    "inverted": ('{"photo.png": [[9, 0, 3, 9]]}', "is inverted"),
    "empty": ('{"photo.png": [[9, 0, 9, 9]]}', "is empty"),
    "rows": ('{"photo.png": [[9, 0, 9]]}', "rows of x0 y0 x1 y1"),
    "words": ('{"photo.png": [["a", 0, 9, 9]]}', "are no numbers"),
    "nobody": ('{"other.png": [[0, 0, 9, 9]]}', "name none of the pictures"),
    "broken": ("{", "is not valid JSON"),
    "list": ("[]", "must hold a JSON object"),
}


@pytest.mark.parametrize("name", BOXES)
def test_bad_boxes_are_one_sentence(dense, picture, tmp_path, name):
    content, message = BOXES[name]
    path = tmp_path / "boxes.json"
    path.write_text(content)
    ran = dense("detect", picture, "--classes", "cat", "--boxes", path, "--out", tmp_path)
    assert ran.code == 2 and len(ran.error_lines) == 1 and message in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "class"),
        (["--classes", "cat", "--threshold", "2"], "--threshold: must lie in"),
        (["--classes", "cat", "--short-side", "4"], "--short-side: must lie in"),
        (["--classes", "cat", "--method", "boxes"], "needs --boxes"),
        (["--classes", "cat", "--method", "yolo"], "unknown detect method"),
        (["--classes", "cat", "--method", "f-vit"], "f-vit needs learned parts"),
        (["--classes", "cat", "--weights", "a.safetensors"], "regions has no learned parts"),
        (["--classes", "cat", "--threshold", "nan"], "--threshold: must lie in"),
        (["--classes", "cat", "--limit", "0"], "--limit: must be a whole number of 1 or more"),
        (
            ["--classes", "cat", "--background", "Cat"],
            "'Cat' is named as a class and as background",
        ),
        (["--classes", "cat", "--proposals", "0"], "must be a whole number of 1 or more"),
        (["--classes", "cat", "--crops", "-1"], "--crops: must be a whole number of 0 or more"),
        (["--classes", "cat", "--sam", "gone.pth"], "no such segment-anything checkpoint"),
        (
            ["--classes", "cat", "--method", "f-vit", "--sam", "gone.pth"],
            "f-vit looks at no proposals: leave segment-anything out",
        ),
    ],
)
def test_bad_options_are_one_sentence(dense, picture, tmp_path, words, message):
    ran = dense("detect", picture, *words, "--out", tmp_path)
    assert ran.code == 2 and len(ran.error_lines) == 1 and message in ran.err


def test_a_box_for_one_picture_of_two(dense, tmp_path):
    for name in ("a", "b"):
        Image.fromarray(photo(40, 56)).save(tmp_path / f"{name}.png")
    path = tmp_path / "boxes.json"
    path.write_text('{"images/b.png": [[0, 0, 9, 9]], "a.png": []}')
    assert np.shape(read_boxes(path)["a.png"]) == (0, 4)
    ran = dense("detect", tmp_path, "--classes", "cat", "--boxes", path, "--out", tmp_path / "o")
    records = json.loads((tmp_path / "o" / "results.json").read_text())["images"]
    assert ran.code == 0 and [len(record["objects"]) for record in records] == [0, 1]


def test_what_is_shown_by_default_and_with_parts(dense, picture, tmp_path):
    for words, inside in (([], TO_LOOK_AT.inside), (["--parts"], 1.0)):
        ran = dense("detect", picture, "--classes", "cat", *words, "--out", tmp_path)
        card = json.loads((tmp_path / "results.json").read_text())["method"]
        assert ran.code == 0 and card["inside"] == inside
        assert (card["least"], card["limit"]) == (TO_LOOK_AT.least, TO_LOOK_AT.limit)
