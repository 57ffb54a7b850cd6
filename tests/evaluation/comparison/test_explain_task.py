"""Explanations side by side: numbers equal the checks', chance is shared, what is refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dense.cli.main import main
from dense.datasets import DetectionFolder
from dense.errors import InputError
from dense.evaluation.comparison import compare, explain_task, write_tables
from dense.evaluation.comparison.explain_plan import ExplainSetup, plan, sentence_of
from dense.evaluation.comparison.explain_task import ExplainTask
from dense.evaluation.comparison.tables import to_json, to_markdown
from dense.explain.checks import faithfulness, randomised_weights
from dense.explain.explain import explain
from dense.explain.pair import make_pair
from dense.metrics.intervals import mean_interval
from tests.datasets.made import write
from tests.helpers import photo, tiny_backbone

made_backbone = cache(tiny_backbone)
SENTENCES = {0: "a photo of a nut", 2: "a photo of a bolt small"}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures: two small bolts and one large nut, nothing, a bolt."""
    root = tmp_path / "boxes"
    boxes = {1: [(2, [1, 2, 5, 5]), (2, [8, 8, 9, 9]), (1, [0, 0, 40, 30])], 3: [(2, [5, 5, 9, 9])]}
    annotations = [
        {"id": 10 * image + place, "image_id": image, "category_id": kind, "bbox": box}
        for image, own in boxes.items()
        for place, (kind, box) in enumerate(own)
    ]
    content = {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": 40, "width": 60} for i in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt_small"}],
        "annotations": annotations,
    }
    for number in (1, 2, 3):
        write(root / "images" / f"{number}.png", photo(40, 60, number))
    (root / "instances.json").write_text(json.dumps(content))
    return root


def run(root: Path, out: Path, methods: tuple[str, ...] = ("heads", "gradient"), **options: object):
    setup = ExplainSetup([root], methods, steps=4, orders=2, **options)  # type: ignore[arg-type]
    return compare(ExplainTask(made_backbone(), setup), out)


def test_sentences_are_of_the_class_that_covers_most(data: Path) -> None:
    folder = DetectionFolder(data)
    assert {place: sentence_of(folder, place) for place in SENTENCES} == SENTENCES


def test_numbers_equal_the_checks(data: Path, tmp_path: Path) -> None:
    found = run(data, tmp_path / "out")
    rows = {row["method"]: row["values"] for row in to_json(found)["explanations"]}  # type: ignore[attr-defined]
    folder, backbone = DetectionFolder(data), made_backbone()
    for record in found.records:
        name, summaries, drawn = record["method"], [], []
        for place, words in SENTENCES.items():
            image = folder[place].image
            patches = explain(backbone, image, words, method=name).patches
            pair = make_pair(backbone, image, words)
            checked = faithfulness(pair, patches, steps=4, random_orders=2, seed=place)
            summaries.append(checked.summary())
            drawn += randomised_weights(backbone, image, words, method=name)
        for figure in ("deletion", "insertion", "random", "deletion_gain", "insertion_gain"):
            expected = np.mean([summary[figure] for summary in summaries])
            assert rows[name][figure]["mean"] == pytest.approx(expected, abs=1e-7)
        assert rows[name]["random_weights"]["mean"] == pytest.approx(np.mean(drawn), abs=1e-6)
        gains = [summary["insertion_gain"] for summary in summaries]
        wins = 100 * np.mean(np.array(gains) > 0)
        assert rows[name]["insertion_wins"]["mean"] == pytest.approx(wins)
        low, high = mean_interval(gains)
        limits = [record["metrics"][f"insertion_gain_{end}"] for end in ("low", "high")]
        assert limits == pytest.approx([low, high], abs=1e-6)
        assert rows[name]["images"]["mean"] == 2


def test_random_orders_run_once_for_all_methods(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    own = explain_task.random_areas
    monkeypatch.setattr(
        explain_task,
        "random_areas",
        lambda *a, seed, **k: seeds.append(seed) or own(*a, seed=seed, **k),
    )
    out = tmp_path / "out"
    run(data, out)
    assert seeds == [0, 2]
    kept = {record["key"] for record in run(data, out).records}
    assert seeds == [0, 2] and len(kept) == 2  # nothing is measured again
    assert {r["key"] for r in run(data, out, limit=1).records}.isdisjoint(kept)


def test_page_and_markdown(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run(data, out)
    text = to_markdown(found)
    assert "95 % of the mean gains" in text and "(2 pictures)" in text
    page = next(path for path in write_tables(found, out) if path.suffix == ".html").read_text()
    assert page.count("data:image") == 4  # two methods, worst and best
    assert {p["source"] for r in found.records for p in r["pictures"]} <= {
        "1.png, a photo of a nut",
        "3.png, a photo of a bolt small",
    }
    plain = run(data, tmp_path / "plain", ("heads",), pictures=False, redrawn=0)
    assert not list((tmp_path / "plain" / "cells").glob("*.jpg"))
    assert np.isnan(plain.records[0]["metrics"]["random_weights"])


def test_one_command(data: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from dense.apps import files

    monkeypatch.setattr(files, "load", lambda name, **options: made_backbone())
    words = ["compare", str(data), "--task", "explain", "--methods", "heads", "--limit", "1"]
    assert main([*words, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "t.json")]) == 0
    assert "deletion" in capsys.readouterr().out
    report = json.loads((tmp_path / "t.json").read_text())
    assert report["command"] == "compare, explain" and report["explanations"][0]["values"]
    assert main([*words, "--shots", "1", "--out", str(tmp_path / "out")]) == 2
    assert (
        "--shots is an option of inspect, but DATA is compared by explain"
        in capsys.readouterr().err
    )


def test_bad_setups(data: Path) -> None:
    with pytest.raises(InputError, match="the limit must be 1 or more"):
        plan(ExplainSetup([data], limit=0))
    with pytest.raises(InputError, match="unknown explain method 'lime'"):
        plan(ExplainSetup([data], ["lime"]))
    names = {cell.method.name for cell in plan(ExplainSetup([data]))[0]}
    assert names == {"m2ib", "gradient", "second-order", "heads"}
    content = json.loads((data / "instances.json").read_text())
    (data / "instances.json").write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match="has no boxes whose names make the sentences"):
        plan(ExplainSetup([data]))
