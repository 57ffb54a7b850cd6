"""Guided and streamed inspection, explained decisions, refined masks, from the command line."""

import json

import numpy as np
from PIL import Image

from dense.images import read_image
from tests.helpers import photo


def test_guided_inspection(dense, picture, tmp_path):
    ran = dense(
        "inspect", picture, "--product", "nut", "--method", "patch", "--guided",
        "--out", tmp_path / "o",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    card = json.loads((tmp_path / "o" / "results.json").read_text())["method"]
    assert card["method"] == "patch words, guided"
    assert card["guided_regions"] == 4


def test_stream_writes_a_reduced_map_and_places(dense, tmp_path):
    image = np.full((600, 400, 3), 90, np.uint8)
    image[400:420, 300:320] = 250
    np.save(tmp_path / "line.npy", image)
    ran = dense(
        "inspect", tmp_path / "line.npy", "--product", "nut", "--method", "patch", "--guided",
        "--stream", "--threshold", 0.4, "--out", tmp_path / "o", "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "r.json").read_text())["images"][0]
    assert (record["height"], record["width"], record["reduced_by"]) == (600, 400, 1)
    assert record["is_anomalous"] == (record["score"] >= 0.4)
    scores = [place["score"] for place in record["places"]]
    assert scores == sorted(scores, reverse=True)
    x0, y0, x1, y1 = record["places"][0]["box"]
    assert 0 <= x0 < x1 <= 400
    assert 0 <= y0 < y1 <= 600
    heat = read_image(tmp_path / "o" / "line_heat.png")
    assert heat.shape == (600, 400, 3)


def test_decisions_are_explained(dense, picture, tmp_path):
    ran = dense(
        "inspect", picture, "--product", "nut", "--method", "words-memory", "--explain",
        "--look-for", "rust", "--out", tmp_path / "o",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    record = json.loads((tmp_path / "o" / "results.json").read_text())["images"][0]
    decision = record["decision"]
    assert abs(sum(decision["parts"].values()) - record["score"]) < 1e-4
    assert "rust" in {row["words"] for row in decision["words"]}
    assert decision["patches"]


def test_masks_are_refined_and_the_card_says_by_what(dense, picture, tmp_path):
    ran = dense(
        "inspect", picture, "--product", "nut", "--method", "patch", "--threshold", 0.5,
        "--refine", "grabcut", "--out", tmp_path / "i",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert json.loads((tmp_path / "i/results.json").read_text())["method"]["cutter"] == "grabcut"
    ran = dense(
        "segment", picture, "--classes", "cat", "sky", "--refine", "sam", "--out", tmp_path / "s"
    )
    assert ran.code == 0
    assert "no segment-anything checkpoint" in ran.err
    card = json.loads((tmp_path / "s/results.json").read_text())["method"]
    assert card["refine"] == ["grabcut (segment-anything has no checkpoint)"]
    ran = dense(
        "detect", picture, "--classes", "cat", "--threshold", 0, "--refine", "grabcut",
        "--out", tmp_path / "d",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    report = json.loads((tmp_path / "d/results.json").read_text())
    assert report["method"]["cutter"] == "grabcut"
    assert all("mask" in row for row in report["images"][0]["objects"])


def test_refusals(dense, picture, tmp_path):
    flat = tmp_path / "flat.png"
    Image.fromarray(photo(40, 40)).save(flat)
    product = ("--product", "nut", "--method", "patch")
    for words, message in (
        (("inspect", picture, *product, "--stream"), "--stream goes with --guided"),
        (("inspect", picture, *product, "--guided", "--explain"), "--explain takes a method apart"),
        (("inspect", picture, *product, "--refine", "grabcut"), "need a --threshold"),
        (
            ("inspect", picture, *product, "--threshold", "1", "--refine", "scissors"),
            "unknown cutter 'scissors'",
        ),
        (
            ("segment", picture, "--classes", "cat", "--refine", f"sam:{tmp_path / 'gone.pth'}"),
            "no such",
        ),
        (("detect", picture, "--classes", "cat", "--refine", "scissors"), "unknown cutter"),
        (
            ("inspect", flat, "--product", "nut", "--method", "clap", "--explain"),
            "has no exact shares",
        ),
    ):
        ran = dense(*words, "--out", tmp_path / "o")
        assert ran.code == 2, (words, ran)
        assert len(ran.error_lines) == 1, ran.err
        assert message in ran.err
