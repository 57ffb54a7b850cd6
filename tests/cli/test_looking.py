"""`dense classify` and `dense ground`: what they write, and how they refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dense.images import read_image
from dense.methods.looking.alpha_clip import save_alpha
from tests.helpers import photo
from tests.reference.looking_inputs import alpha_vit


def record_of(place, number=0):
    return json.loads((place / "results.json").read_text())["images"][number]


def test_classifies_whole_pictures(dense, folder, tmp_path):
    out, file = tmp_path / "out", tmp_path / "r.json"
    ran = dense(
        "classify", folder, "--classes", "cat", "dog", "--looker", "plain", "--out", out,
        "--json", file,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    results = json.loads(file.read_text())
    assert results["class_names"] == ["cat", "dog"] and len(results["images"]) == 3
    first = results["images"][0]
    assert first["regions"][0]["box"] == [0, 0, 56, 40]
    scores = [row["score"] for row in first["regions"][0]["names"]]
    assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(1, abs=2e-4)
    assert read_image(out / first["picture"]).shape == (40, 56, 3)
    assert "method plain" in ran.out


def test_classifies_regions_of_every_kind(dense, picture, tmp_path):
    boxes = [[2, 3, 30, 33], [0, 0, 56, 40]]
    listed = tmp_path / "boxes.json"
    listed.write_text(json.dumps({"photo.png": boxes}))
    square = [[2, 3, 30, 3, 30, 33, 2, 33]]
    coco = tmp_path / "coco.json"
    content = {
        "images": [{"id": 1, "file_name": "photo.png"}],
        "categories": [{"id": 1, "name": "x"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "bbox": [2, 3, 28, 30],
                "segmentation": square,
            }
        ],
    }
    coco.write_text(json.dumps(content))
    mask = np.zeros((40, 56), np.uint8)
    mask[3:33, 2:30] = 255
    (tmp_path / "masks").mkdir()
    Image.fromarray(mask).save(tmp_path / "masks" / "photo.png")
    found = {}
    for name, words in {
        "file": ["--regions", listed],
        "typed": ["--boxes", "2,3,30,33", "0,0,56,40"],
        "coco": ["--regions", coco],
        "mask": ["--masks", tmp_path / "masks" / "photo.png"],
        "masks": ["--masks", tmp_path / "masks"],
    }.items():
        ran = dense(
            "classify", picture, "--classes", "cat", "dog", "--looker", "fgvp", *words,
            "--out", tmp_path / name,
        )  # fmt: skip
        assert (ran.code, ran.err) == (0, ""), name
        found[name] = record_of(tmp_path / name)["regions"]
    assert [row["box"] for row in found["file"]] == boxes
    assert found["file"] == found["typed"]
    assert found["coco"] == found["mask"] == found["masks"] == found["file"][:1]


def test_settings_reach_the_looker(dense, picture, tmp_path):
    ran = dense(
        "classify", picture, "--classes", "cat", "dog", "--boxes", "2,3,30,33", "--set",
        "margins=0,0.5", "--out", tmp_path,
    )  # fmt: skip
    assert ran.code == 0 and "margins (0, 0.5)" in ran.out
    ran = dense(
        "classify", picture, "--classes", "cat", "dog", "--boxes", "2,3,30,33", "--looker",
        "red-circle", "--set", "colour=green", "marks=circle,box", "--out", tmp_path,
    )  # fmt: skip
    assert ran.code == 0 and "colour green" in ran.out


def test_reads_alpha_clips_files(dense, picture, tmp_path, backbone):
    save_alpha(tmp_path / "alpha.safetensors", alpha_vit(backbone))
    words = ["classify", picture, "--classes", "cat", "dog", "--looker", "alpha-clip"]
    ran = dense(*words, "--weights", tmp_path / "alpha.safetensors", "--out", tmp_path / "o")
    assert ran.code == 0 and "weights alpha.safetensors" in ran.out
    wrong = dense(*words, "--weights", picture, "--out", tmp_path / "o")
    assert wrong.code == 2 and len(wrong.error_lines) == 1 and "corrupt checkpoint" in wrong.err
    none = dense(*words, "--out", tmp_path / "o")
    assert none.code == 2 and "needs learned parts" in none.err


def test_grounds_among_proposals_and_boxes(dense, picture, tmp_path):
    ran = dense(
        "ground", picture, "--phrase", "a cat", "the left thing", "--proposals", 7, "--out",
        tmp_path / "a",
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    record = record_of(tmp_path / "a")
    assert [row["phrase"] for row in record["phrases"]] == ["a cat", "the left thing"]
    scores = [row["score"] for row in record["phrases"][0]["places"]]
    assert scores == sorted(scores, reverse=True) and len(scores) == 5
    assert read_image(tmp_path / "a" / record["picture"]).shape == (40, 56, 3)
    ran = dense(
        "ground", picture, "--phrase", "a cat", "--boxes", "2,3,30,33", "--negatives", "a dog",
        "--looker", "pooled", "--out", tmp_path / "b",
    )  # fmt: skip
    place = record_of(tmp_path / "b")["phrases"][0]["places"][0]
    assert ran.code == 0 and place == {"box": [2, 3, 30, 33], "score": 1.0}


def test_grounds_in_a_picture_of_one_colour(dense, tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((40, 56, 3), 127, np.uint8)).save(path)
    ran = dense("ground", path, "--phrase", "a cat", "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (0, "")
    ran = dense("classify", path, "--classes", "cat", "dog", "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "the class list is empty"),
        (["--classes", " "], "blank"),
        (["--classes", "cat", "--boxes", "60,0,90,9"], "lies outside the picture of 56 × 40"),
        (["--classes", "cat", "--boxes", "9,0,3,9"], "is inverted"),
        (["--classes", "cat", "--boxes", "9,0,3"], "--boxes expects X0,Y0,X1,Y1"),
        (["--classes", "cat", "--boxes", "a,b,c,d"], "--boxes expects X0,Y0,X1,Y1"),
        (["--classes", "cat", "--regions", "gone.json"], "no such file: gone.json"),
        (["--classes", "cat", "--masks", "gone"], "no such mask file or folder"),
        (["--classes", "cat", "--looker", "gc-clp"], "unknown look method 'gc-clp'"),
        (["--classes", "cat", "--set", "margins=-1"], "a margin must be a number in [0, 1]"),
        (["--classes", "cat", "--set", "margin=1"], "unknown setting of the looker 'margin'"),
        (["--classes", "cat", "--set", "margins"], "--set expects"),
        (["--classes", "cat", "--looker", "falip"], "falip shows which region is meant"),
        (["--classes", "cat", "--weights", "w.pt"], "has no learned parts"),
        (["--classes", "cat", "--boxes", "1,1,9,9", "--masks", "m"], "not allowed with"),
    ],
)
def test_bad_options_are_one_sentence(dense, picture, tmp_path, words, message):
    ran = dense("classify", picture, *words, "--out", tmp_path)
    assert ran.code == 2 and len(ran.error_lines) == 1 and message in ran.err


def test_bad_masks_are_one_sentence(dense, picture, tmp_path):
    empty, small = tmp_path / "empty.png", tmp_path / "small.png"
    Image.fromarray(np.zeros((40, 56), np.uint8)).save(empty)
    Image.fromarray(np.ones((4, 5), np.uint8)).save(small)
    (tmp_path / "others").mkdir()
    for place, message in (
        (empty, "is empty: mark at least one pixel"),
        (small, "must have the size of its image"),
        (tmp_path / "others", "no mask of the name of photo.png"),
    ):
        ran = dense(
            "classify", picture, "--classes", "cat", "--masks", place, "--out", tmp_path / "o"
        )  # fmt: skip
        assert ran.code == 2 and len(ran.error_lines) == 1 and message in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "there is no phrase to look for"),
        (["--phrase", " "], "there is no phrase to look for"),
        (["--phrase", "a", "--negatives", " "], "--negatives is blank"),
        (["--phrase", "a", "--proposals", "0"], "whole number of 1 or more"),
        (["--phrase", "a", "--looker", "regions"], "unknown look method"),
    ],
)
def test_bad_phrases_are_one_sentence(dense, picture, tmp_path, words, message):
    ran = dense("ground", picture, *words, "--out", tmp_path)
    assert ran.code == 2 and len(ran.error_lines) == 1 and message in ran.err


def test_ground_needs_a_region_where_a_file_names_none(dense, tmp_path):
    for name in ("a", "b"):
        Image.fromarray(photo(40, 56)).save(tmp_path / f"{name}.png")
    listed = tmp_path / "boxes.json"
    listed.write_text(json.dumps({"a.png": [[0, 0, 9, 9]]}))
    ran = dense("ground", tmp_path, "--phrase", "x", "--regions", listed, "--out", tmp_path / "o")
    assert ran.code == 2 and "there is no region to choose from" in ran.err
    ran = dense(
        "classify", tmp_path, "--classes", "x", "--regions", listed, "--out", tmp_path / "o"
    )  # fmt: skip
    assert ran.code == 0 and record_of(tmp_path / "o", 1)["regions"] == []
