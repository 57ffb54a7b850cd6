"""`dense reject`: verdicts, JSON, refusals."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from dense.methods.catalog import methods
from tests.helpers import photo


@pytest.fixture
def known(tmp_path):
    for kind in range(2):
        folder = tmp_path / "known" / f"kind_{kind}"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(photo(40, 56, seed=kind) ^ number).save(folder / f"{number}.png")
    return tmp_path / "known"


def _fails(ran, *words):
    assert ran.code == 2, ran
    assert len(ran.error_lines) == 1, ran.err
    for word in words:
        assert word in ran.err


@pytest.mark.parametrize("method", [method.name for method in methods("reject")])
def test_methods(dense, known, folder, tmp_path, method):
    ran = dense(
        "reject", folder, "--known", known, "--method", method, "--json", tmp_path / "r.json"
    )
    assert ran.code == 0
    assert "8 known pictures cannot set a limit" in ran.err and "bring 19 or more" in ran.err
    report = json.loads((tmp_path / "r.json").read_text())
    assert report["command"] == "reject" and report["method"]["known"] == 8
    assert report["method"]["classes"] == ["kind 0", "kind 1"]
    assert all(isinstance(record["is_foreign"], bool) for record in report["images"])
    assert {record["nearest"] for record in report["images"]} <= {"kind 0", "kind 1"}


def test_known_pictures_pass_and_others_do_not(dense, known, tmp_path):
    odd = tmp_path / "odd.png"
    Image.fromarray(photo(40, 56, seed=77)).save(odd)
    verdicts = []
    for source in (known / "kind_0" / "1.png", odd):
        assert dense("reject", source, "--known", known, "--json", tmp_path / "r.json").code == 0
        record = json.loads((tmp_path / "r.json").read_text())["images"][0]
        verdicts.append(record["is_foreign"])
    assert verdicts == [False, True]


def test_words_alone_give_scores_without_verdict(dense, picture, tmp_path):
    ran = dense(
        "reject", picture, "--classes", "nut", "bolt", "--method", "mcm",
        "--json", tmp_path / "r.json",
    )  # fmt: skip
    assert ran.code == 0
    assert json.loads((tmp_path / "r.json").read_text())["images"][0]["is_foreign"] is None


def test_foreign_pictures_are_measured(dense, known, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    for number in range(3):
        Image.fromarray(photo(40, 56, seed=70 + number)).save(odd / f"{number}.png")
    ran = dense(
        "reject",
        known / "kind_0",
        "--known",
        known,
        "--foreign",
        odd,
        "--json",
        tmp_path / "r.json",
    )
    assert ran.code == 0 and "AUROC 100.0, FPR95 0.0" in ran.out
    metrics = json.loads((tmp_path / "r.json").read_text())["metrics"]
    assert metrics == {"auroc": 100.0, "fpr95": 0.0, "known": 8.0, "foreign": 3.0}


def test_wrong_options(dense, picture, known, tmp_path):
    _fails(dense("reject", picture), "mahalanobis learns from known pictures", "--known")
    _fails(dense("reject", picture, "--method", "mcm"), "say what is known")
    _fails(dense("reject", picture, "--known", known, "--method", "mahalanobi"), "mahalanobis")
    _fails(dense("reject", picture, "--known", tmp_path / "gone"), "--known is not a folder")
    _fails(
        dense("reject", picture, "--known", known, "--accept", 2), "--accept: must lie in [0, 1]"
    )
    _fails(dense("reject", tmp_path / "gone", "--known", known), "no such file")
    words = ("--classes", "a", "b", "--method", "mcm")
    _fails(dense("reject", picture, *words, "--foreign", known), "give their folder as --known")
