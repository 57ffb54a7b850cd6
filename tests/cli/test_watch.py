"""`dense watch` and `dense inspect-batch` on judges without a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inspection.line import StubJudge, save_part


@pytest.fixture(autouse=True)
def judge(monkeypatch):
    """Any product is judged by the brightness of its first pixel."""
    opened = []

    def open_judge(home, name, *, device="auto"):
        opened.append((home, name, device))
        return StubJudge(name)

    monkeypatch.setattr("dense.inspection.judge.open_judge", open_judge)
    return opened


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    for number in range(3):
        save_part(tmp_path / "parts" / f"{number}.png", 250 if number == 1 else 10, seed=number)
    return tmp_path / "parts"


def test_watch_once_and_again(dense, parts, tmp_path, judge):
    words = ["watch", "--product", "nut", "--folder", parts, "--once", "--settle", "0"]
    words += ["--home", tmp_path / "home", "--sink", f"jsonl:{tmp_path}/a.jsonl"]
    words += ["--sink", f"images:{tmp_path}/pictures", "--device", "cpu"]
    ran = dense(*words, "--json", tmp_path / "a.json")
    assert ran.code == 0 and "decided: 2 pass, 1 reject, 0 refused" in ran.out
    assert judge == [(tmp_path / "home", "nut", "cpu")]
    summary = json.loads((tmp_path / "a.json").read_text())
    assert summary["delivered"] == {
        f"jsonl:{tmp_path}/a.jsonl": 3,
        f"images:{tmp_path}/pictures": 1,
    }
    assert (tmp_path / "home" / "watch" / "nut" / "journal.sqlite").is_file()
    again = dense(*words)
    assert again.code == 0 and "decided: 0 pass, 0 reject, 0 refused" in again.out
    assert len((tmp_path / "a.jsonl").read_text().splitlines()) == 3
    sent = dense(*words, "--resend")
    assert "0 refused results are tried again" in sent.err


def test_watch_a_film(dense, tmp_path):
    import numpy as np

    from dense.video import FilmWriter

    with FilmWriter(tmp_path / "a.mp4", rate=10) as film:
        for level in (10, 250, 10, 250):
            film.write(np.full((32, 48, 3), level, np.uint8))
    words = ["watch", "--product", "nut", "--video", tmp_path / "a.mp4", "--every", "2"]
    ran = dense(*words, "--state", tmp_path / "s", "--sink", f"csv:{tmp_path}/a.csv")
    assert "decided: 2 pass, 0 reject, 0 refused" in ran.out


@pytest.mark.parametrize(
    ("words", "match"),
    [
        ([], "--sink is missing"),
        (["--sink", "mail:me"], "unknown sink 'mail'"),
        (["--sink", "jsonl:a", "--secrets", "none"], "cannot read the secrets file none"),
        (["--sink", "jsonl:a", "--settle", "-1"], "must lie in [0, 86400]"),
        (["--sink", "jsonl:a", "--max-waiting", "0"], "must be a whole number of 1 or more"),
        (["--sink", "jsonl:a", "--camera", "0"], "not allowed with argument"),
    ],
)
def test_watch_options_that_are_wrong(dense, parts, words, match):
    ran = dense("watch", "--product", "nut", "--folder", parts, *words)
    assert ran.code == 2 and match in ran.err and len(ran.error_lines) == 1


def test_watch_a_folder_that_is_not_there(dense, tmp_path):
    ran = dense("watch", "--product", "n", "--folder", tmp_path / "none", "--sink", "jsonl:a")
    assert ran.code == 2 and "--folder is not a folder" in ran.err


def test_watch_needs_a_source(dense):
    ran = dense("watch", "--product", "nut", "--sink", "jsonl:a")
    assert ran.code == 2 and "--folder --video --camera is required" in ran.err


def test_batch_and_again(dense, parts, tmp_path):
    words = ["inspect-batch", parts, "--product", "nut", "--out", tmp_path / "out"]
    words += ["--engine", "local", "--part-size", "2", "--json", tmp_path / "a.json"]
    ran = dense(*words)
    assert ran.code == 0 and "3 of 3 pictures now" in ran.out
    assert "part 2 of 2: 1 pictures" in ran.err
    assert json.loads((tmp_path / "a.json").read_text())["decided"]["reject"] == 1
    assert "0 of 3 pictures now" in dense(*words).out


def test_batch_of_nothing(dense, tmp_path):
    (tmp_path / "in").mkdir()
    ran = dense("inspect-batch", tmp_path / "in", "--product", "n", "--out", tmp_path / "out")
    assert ran.code == 2 and "no pictures in" in ran.err
