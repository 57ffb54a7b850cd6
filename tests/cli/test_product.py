"""`dense product` from end to end on a tiny model, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Outcome, Run
from tests.inspection.products import SIZE, part, scratched


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DENSE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DENSE_DATABASE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def parts(tmp_path: Path) -> Callable[..., Path]:
    """Folders of made-up parts."""

    def make(name: str, *seeds: int, make_one: Callable[[int], np.ndarray] = part) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for seed in seeds:
            Image.fromarray(make_one(seed)).save(folder / f"{seed}.png")
        return folder

    return make


def test_a_product_from_creation_to_import(
    dense: Run, home: Path, parts: Callable[..., Path], tmp_path: Path
) -> None:
    support, good = parts("support", 1, 2, 3, 4), parts("good", *range(10, 19))
    bad = parts("bad", 30, 31, make_one=scratched)
    words = ("--words", "metal nut", "--look-for", "scratch", "dent", "--mm-per-pixel", 0.1)
    made = dense("product", "create", "nut", "--support", support, *words)
    assert made.code == 0 and "made from 4 pictures" in made.out, made.err
    audit = dense("product", "audit", "nut", "--json", tmp_path / "audit.json")
    assert audit.code == 0 and audit.out.count("fits") == 4
    options = ("--alpha", 0.1, "--good", good, "--defects", bad)
    known = dense("product", "calibrate", "nut", *options, "--json", tmp_path / "c.json")
    assert known.code == 0 and "At most 0.1 of good parts are rejected" in known.out
    assert "0 of 2 defective parts pass" in known.out
    assert json.loads((tmp_path / "c.json").read_text())["guarantee"]["parts"] == 9

    (bad / "broken.png").write_bytes(b"no picture")
    judged = dense("product", "judge", "nut", bad, "--out", tmp_path / "out")
    assert judged.code == 0, judged.err
    report = json.loads((tmp_path / "out" / "results.json").read_text())
    assert report["verdicts"] == {"reject": 2, "refused": 1}
    first, *_, last = report["decisions"]
    assert set(first["files"]) == {"heat", "mask", "scratch", "dent"}
    assert all((tmp_path / "out" / name).is_file() for name in first["files"].values())
    assert last["reasons"][0]["code"] == "unreadable" and last["files"] == {}

    shown = dense("product", "show", "nut", "--json", tmp_path / "show.json")
    assert "metal nut" in shown.out and "created from 4 pictures" in shown.out
    assert len(json.loads((tmp_path / "show.json").read_text())["versions"]) == 2
    assert "split" in dense("product", "list").out

    assert dense("product", "export", "nut", tmp_path / "nut.dense").code == 0
    assert dense("product", "key", tmp_path / "key.pem").code == 0
    other = ("--home", tmp_path / "other")
    refused = dense("product", "import", tmp_path / "nut.dense", *other)
    assert refused.code == 2 and "dense product trust" in refused.err
    assert dense("product", "trust", tmp_path / "key.pem", *other).code == 0
    assert dense("product", "import", tmp_path / "nut.dense", *other).code == 0
    dense("product", "judge", "nut", bad, "--out", tmp_path / "out2", *other)
    again = json.loads((tmp_path / "out2" / "results.json").read_text())
    for left, right in zip(report["decisions"], again["decisions"], strict=True):
        assert (left["id"], left["score"]) == (right["id"], right["score"])

    undone = dense("product", "undo", "nut")
    assert undone.code == 0 and "back at version 1: created" in undone.out
    assert dense("product", "delete", "nut").code == 0
    assert "no products in" in dense("product", "list").out
    assert dense("product", "collect").code == 0


def test_regions_from_a_file(
    dense: Run, home: Path, parts: Callable[..., Path], tmp_path: Path
) -> None:
    roi = tmp_path / "roi.json"
    roi.write_text(json.dumps({"regions": {"left": [[0, 0], [40, 0], [40, 64], [0, 64]]}}))
    options = ("--support", parts("support", 1, 2, 3), "--roi", roi, "--method", "patch")
    assert dense("product", "create", "nut", *options).code == 0
    known = dense("product", "calibrate", "nut", "--alpha", 0.25)
    assert "threshold of left" in known.out and "leave-one-out conformal on 3" in known.out
    bad = parts("bad", 30, make_one=scratched)
    report = tmp_path / "r.json"
    dense("product", "judge", "nut", bad, "--out", tmp_path / "out", "--json", report)
    (decision,) = json.loads(report.read_text())["decisions"]
    assert [region["name"] for region in decision["regions"]] == ["left"]
    assert all(defect["box"][2] <= 40 for defect in decision["defects"])
    assert decision["image_size"] == list(SIZE)


@pytest.mark.parametrize(
    ("words", "match"),
    [
        (("create", "a/b", "--support", "{}"), "starts with a letter"),
        (("create", "nut", "--support", "gone"), "no such file or directory"),
        (
            ("create", "nut", "--support", "{}", "--method", "patsh"),
            "unknown inspect method 'patsh'",
        ),
        (("create", "nut", "--support", "{}", "--mm-per-pixel", "-1"), "above 0, got -1"),
        (("judge", "nut", "{}"), "no product 'nut', there is none yet"),
        (("calibrate", "nut"), "--alpha SHARE"),
        (("undo", "nut"), "there is none yet"),
        (("trust", "gone.pem"), "no public key"),
        (("import", "gone.dense"), "no product file"),
        (("list", "--database", "nonsense"), "given as sqlite"),
        (("frobnicate",), "unknown"),
    ],
)
def test_one_sentence_each(
    dense: Run, home: Path, parts: Callable[..., Path], words: tuple[str, ...], match: str
) -> None:
    folder = str(parts("support", 1))
    outcome: Outcome = dense("product", *(word.replace("{}", folder) for word in words))
    assert outcome.code == 2 and match in outcome.err, outcome.err
    assert len(outcome.error_lines) == 1 and "Traceback" not in outcome.err
