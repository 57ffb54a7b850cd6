"""`dense explain`: files, numbers, refusals."""

import json

import numpy as np
from PIL import Image

from dense.images import read_image


def test_explains_each_sentence(dense, picture, tmp_path):
    out = tmp_path / "out"
    done = dense(
        "explain", picture, "--words", "a cat", "the sky", "--against", "dog", "--check",
        "--method", "heads", "--out", out, "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert done.code == 0, done.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report == json.loads((out / "results.json").read_text())
    assert report["method"]["method"] == "heads"
    first, second = report["images"][0]["explanations"]
    assert [row["word"] for row in first["word_scores"]] == ["a", "cat"]
    assert abs(sum(first["parts"].values()) - first["score"]) < 1e-4
    assert second["checks"]["fill"] == "mean"
    assert read_image(out / first["map"]).shape == (40, 56, 3)
    assert (out / second["bars"]).is_file()
    page = (out / "index.html").read_text()
    assert "the sky" in page
    assert "a cat" in done.out


def test_refusals(dense, picture, tmp_path):
    flat = tmp_path / "flat.png"
    Image.fromarray(np.full((30, 30, 3), 9, np.uint8)).save(flat)
    for words, message in (
        ((picture,), "no words to explain"),
        ((picture, "--words", " "), "no words to explain"),
        ((picture, "--words", "cat", "--method", "lime"), "unknown explain method 'lime'"),
        ((picture, "--words", "cat", "--short-side", 3), "--short-side"),
        ((flat, "--words", "cat"), "one colour all over"),
    ):
        done = dense("explain", *words, "--out", tmp_path / "out")
        assert done.code == 2
        assert len(done.error_lines) == 1
        assert message in done.err
