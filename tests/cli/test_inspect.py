"""`dense inspect`: what it writes, and how it refuses."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dense.backbones import load as dense_load
from tests.helpers import photo


def _fails(ran, *words):
    assert ran.code == 2, ran
    assert len(ran.error_lines) == 1, ran.err
    for word in words:
        assert word in ran.err


def test_zero_shot(dense, picture, tmp_path):
    ran = dense("inspect", picture, "--product", "metal nut", "--out", tmp_path / "o")
    assert (ran.code, ran.err) == (0, "")
    results = json.loads((tmp_path / "o" / "results.json").read_text())
    record = results["images"][0]
    assert results["method"]["method"] == "WinCLIP" and results["product"] == "metal nut"
    assert 0 <= record["score"] <= 1 and record["is_anomalous"] is None
    assert {p.name for p in (tmp_path / "o").iterdir()} == {
        "photo_heat.png",
        "photo_map.png",
        "results.json",
    }
    levels = np.asarray(Image.open(tmp_path / "o" / "photo_map.png"))
    assert levels.shape == (40, 56) and levels.dtype == np.uint16
    low, high = results["scale"]
    value = levels[record["peak"]["y"], record["peak"]["x"]] / 65535 * (high - low) + low
    assert value == pytest.approx(np.clip(record["peak"]["value"], low, high), abs=1e-4)


def test_few_shot_is_seeded_and_a_support_picture_scores_lowest(dense, folder, tmp_path):
    odd = tmp_path / "odd.png"
    Image.fromarray(255 - photo(40, 56, seed=9)).save(odd)
    scores = {}
    for source in (folder / "0.png", odd):
        ran = dense(
            "inspect", source, "--product", "nut", "--support", folder, "--out", tmp_path / "o",
            "--json", tmp_path / "r.json",
        )  # fmt: skip
        assert ran.code == 0
        results = json.loads((tmp_path / "r.json").read_text())
        assert results["method"]["shots"] == [3]
        scores[source.name] = results["images"][0]["score"]
    drawn = []
    for seed in (1, 1):
        dense(
            "inspect", odd, "--product", "nut", "--support", folder, "--shots", 1, "--seed", seed,
            "--out", tmp_path / "o", "--json", tmp_path / "r.json",
        )  # fmt: skip
        drawn.append(json.loads((tmp_path / "r.json").read_text())["images"][0]["score"])
    assert drawn[0] == drawn[1]
    assert scores["odd.png"] != scores["0.png"]


@pytest.mark.parametrize("method", ["winclip", "patch"])
@pytest.mark.parametrize("shots", [0, 3])
def test_methods(dense, picture, folder, tmp_path, method, shots):
    support = ["--support", folder] if shots else []
    ran = dense(
        "inspect", picture, "--product", "nut", "--method", method, *support, "--out", tmp_path,
    )  # fmt: skip
    assert (ran.code, ran.err) == (0, "")
    name = json.loads((tmp_path / "results.json").read_text())["method"]["method"]
    expected = {"winclip": ("WinCLIP", "WinCLIP+"), "patch": ("patch words", "patch memory")}
    assert name == expected[method][shots > 0]


def test_words_to_look_for_and_to_ignore(dense, picture, folder, tmp_path):
    scores = []
    for words in ([], ["--look-for", "rust", "crack"], ["--ignore", "water drops"]):
        ran = dense(
            "inspect", picture, "--product", "nut", "--method", "patch", *words,
            "--out", tmp_path, "--json", tmp_path / "r.json",
        )  # fmt: skip
        assert (ran.code, ran.err) == (0, "")
        scores.append(json.loads((tmp_path / "r.json").read_text())["images"][0]["score"])
    assert len(set(scores)) == 3
    base = ("inspect", picture, "--product", "nut", "--out", tmp_path)
    _fails(dense(*base, "--method", "patch", "--ignore", " "), "blank")
    refused = dense(*base, "--method", "patchcore", "--support", folder, "--look-for", "rust")
    _fails(refused, "PatchCore takes no words")


def test_threshold_gives_decisions(dense, picture, tmp_path):
    for threshold, verdict in ((0.0, True), (1.1, False)):
        dense(
            "inspect", picture, "--product", "nut", "--threshold", threshold, "--out", tmp_path,
            "--json", tmp_path / "r.json",
        )  # fmt: skip
        record = json.loads((tmp_path / "r.json").read_text())["images"][0]
        assert record["is_anomalous"] is verdict


def test_wrong_options(dense, picture, folder, tmp_path):
    _fails(dense("inspect", picture), "--product")
    _fails(dense("inspect", picture, "--product", "n", "--method", "winclp"), "winclip")
    _fails(dense("inspect", picture, "--product", " "), "--product is blank")
    _fails(dense("inspect", picture, "--product", "nut", "--shots", 2), "--support")
    _fails(
        dense("inspect", picture, "--product", "nut", "--support", folder, "--shots", 9),
        "9 support",
    )
    (tmp_path / "empty").mkdir()
    _fails(
        dense("inspect", picture, "--product", "nut", "--support", tmp_path / "empty"), "no images"
    )
    _fails(dense("inspect", picture, "--product", "nut", "--scale", 1, 0), "--scale must rise")
    (folder / "bad.png").write_bytes(b"")
    _fails(dense("inspect", picture, "--product", "nut", "--support", folder), "zero bytes")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--threshold", "nan"], "--threshold: must be a finite number"),
        (["--scale", "0", "inf"], "--scale: must be a finite number"),
        (["--support", "x", "--shots", "0"], "--shots: must be a whole number of 1 or more"),
        (["--support", "x", "--shots", "1", "--seed", "-1"], "--seed: must lie in [0, 4294967295]"),
        (["--look-for", "rust", "--ignore", "Rust"], "'rust' cannot be looked for and ignored"),
        (["--method", "patchcore"], "patchcore compares with normal pictures"),
        (["--method", "patch", "--weights", "w.pth"], "patch has no learned parts"),
        (["--method", "april-gan"], "configs/train/april_gan_embedded.py"),
        (["--pretrained", "openai"], "leave --pretrained out"),
    ],
)
def test_options_that_cannot_be_used(dense, picture, tmp_path, monkeypatch, words, text):
    if "--pretrained" in words:
        monkeypatch.setattr("dense.apps.files.load", dense_load)
    _fails(dense("inspect", picture, "--product", "nut", *words, "--out", tmp_path / "o"), text)
    assert not list(tmp_path.glob("o/*"))


def test_a_json_file_that_cannot_be_written_is_refused_before_the_work(dense, picture, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for place in (tmp_path / "file" / "r.json", tmp_path):
        base = ("inspect", picture, "--product", "nut", "--out", tmp_path / "o")
        _fails(dense(*base, "--json", place), "choose another --json")
        assert not (tmp_path / "o").exists()
