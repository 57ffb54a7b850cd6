"""Lookers side by side: numbers equal the metric's, cells are kept, what is refused."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dense.classifier import build_text_classifier
from dense.cli.main import main
from dense.datasets import DetectionFolder
from dense.errors import InputError
from dense.evaluation.comparison import compare, write_tables
from dense.evaluation.comparison.box_data import chosen_pictures
from dense.evaluation.comparison.look_plan import LookSetup, plan
from dense.evaluation.comparison.look_task import LookTask
from dense.evaluation.comparison.tables import to_json, to_markdown
from dense.evaluation.looking import grounding_rows, grounding_scores_of, naming_scores_of
from dense.methods.looking.answers import Grounded
from dense.methods.looking.ask import RegionNamer, build_looker
from dense.structures import Sample
from tests.datasets.made import write
from tests.helpers import photo, tiny_backbone

made_backbone = cache(tiny_backbone)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Three pictures, one without a box; five boxes of different sizes."""
    root = tmp_path / "boxes"
    boxes = {
        1: [[1, 2, 10, 20], [30, 4, 5, 6], [0, 0, 60, 40]],
        2: [],
        3: [[5, 5, 30, 30], [1, 1, 4, 4]],
    }
    annotations = [
        {"id": 10 * image + place, "image_id": image, "category_id": 1 + place % 2, "bbox": box}
        for image, own in boxes.items()
        for place, box in enumerate(own)
    ]
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 40, "width": 60} for i in boxes],
        "categories": [{"id": 1, "name": "nut"}, {"id": 2, "name": "bolt_small"}],
        "annotations": annotations,
    }
    for number in boxes:
        write(root / "images" / f"{number}.png", photo(40, 60, number))
    (root / "instances.json").write_text(json.dumps(content))
    return root


def run(root: Path, out: Path, methods: tuple[str, ...] = ("plain", "crop"), **options: object):
    setup = LookSetup([root], methods, templates="plain", **options)  # type: ignore[arg-type]
    return compare(LookTask(made_backbone(), setup, cache=out / "text"), out)


def test_numbers_equal_the_metrics(data: Path, tmp_path: Path) -> None:
    found = run(data, tmp_path / "out")
    rows = {row["method"]: row["values"] for row in to_json(found)["lookers"]}  # type: ignore[attr-defined]
    folder = DetectionFolder(data)
    words = build_text_classifier(made_backbone(), ["nut", "bolt small"], templates="plain")
    for name in ("plain", "crop"):
        namer = RegionNamer(made_backbone(), build_looker(made_backbone(), name), words)
        right, labels, areas = [], [], []
        for sample in (folder[0], folder[2]):
            result = namer.predict([sample])[0]
            right += (result.labels == sample.box_labels).tolist()
            labels += sample.box_labels.tolist()
            areas += (sample.boxes[:, 2:] - sample.boxes[:, :2]).prod(1).tolist()
        assert rows[name]["top1"]["mean"] == pytest.approx(100 * np.mean(right))
        smallest = np.argsort(areas)[:2]  # five boxes: ranks 0 and 1 are below a third
        assert rows[name]["smallest_third"]["mean"] == pytest.approx(
            100 * np.mean(np.array(right)[smallest])
        )
        assert rows[name]["boxes_smallest_third"]["mean"] == 2
        assert rows[name]["boxes"]["mean"] == 5 and rows[name]["images"]["mean"] == 2
    assert rows["plain"]["cost_x"]["mean"] == pytest.approx(1)
    ratio = rows["crop"]["s_per_image"]["mean"] / rows["plain"]["s_per_image"]["mean"]
    assert rows["crop"]["cost_x"]["mean"] == pytest.approx(ratio)


def test_cells_are_kept_until_the_data_change(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(data, out)
    again = run(data, out, ("crop", "plain", "pooled"))
    kept = {r["method"]: r["key"] for r in first.records}
    assert kept.items() <= {r["method"]: r["key"] for r in again.records}.items()
    assert {r["seconds"] for r in first.records} <= {r["seconds"] for r in again.records}
    content = json.loads((data / "instances.json").read_text())
    content["annotations"][0]["bbox"][2] = 11
    (data / "instances.json").write_text(json.dumps(content))
    assert {r["key"] for r in run(data, out).records}.isdisjoint(kept.values())


def test_page_and_markdown(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run(data, out)
    text = to_markdown(found)
    assert "smallest_third" in text and "95 % of the smallest third" in text
    assert "(2 boxes)" in text and "crop: method crop; margin 0.0" in text
    written = write_tables(found, out)
    page = next(path for path in written if path.suffix == ".html").read_text()
    assert page.count("data:image") == 4  # two lookers, worst and best


def test_without_plain_there_is_no_ratio(data: Path, tmp_path: Path) -> None:
    rows = to_json(run(data, tmp_path / "out", ("crop",), pictures=False))["lookers"]
    assert "cost_x" not in rows[0]["values"]  # type: ignore[index]
    assert not list((tmp_path / "out" / "cells").glob("*.jpg"))


def test_a_limit_spreads_the_pictures(data: Path) -> None:
    folder = DetectionFolder(data)
    assert chosen_pictures(folder, None) == [0, 2]
    assert chosen_pictures(folder, 1) == [0] and chosen_pictures(folder, 5) == [0, 2]


def test_one_command(data: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from dense.apps import files

    monkeypatch.setattr(files, "load", lambda name, **options: made_backbone())
    out = tmp_path / "out"
    words = ["compare", str(data), "--methods", "plain", "pooled", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "smallest_third" in printed and "cost_x" in printed and "pooled" in printed
    assert (out / "table.json").is_file()
    shutil.copy(data / "instances.json", data / "classes.json")  # now both tasks fit
    assert main([*words, "--task", "look", "--limit", "1"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "winclip"], "unknown look method 'winclip'"),
        (["--methods", "alpha-clip"], "--weights alpha-clip=FILE"),
        (["--methods", "plain", "--weights", "crop=x"], "given for crop, which is not compared"),
        (["--shots", "1"], "--shots is an option of inspect, but DATA is compared by look"),
        (["--refine", "pamr"], "--refine is an option of segment"),
        (["--batch-size", "2"], "--batch-size is an option of"),
    ],
)
def test_bad_options_are_one_sentence(data: Path, tmp_path: Path, capsys, words, message) -> None:
    assert main(["compare", str(data), *words, "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert message in err and len(err.splitlines()) == 1


def test_bad_setups(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the limit must be 1 or more"):
        plan(LookSetup([data], limit=0))
    names = [cell.method.name for cell in plan(LookSetup([data]))[0]]
    assert "plain" in names and "alpha-clip" not in names
    content = json.loads((data / "instances.json").read_text())
    (data / "instances.json").write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match="has no boxes to name"):
        plan(LookSetup([data]))
    with pytest.raises(InputError, match="no boxes to name"):
        naming_scores_of([])
    with pytest.raises(InputError, match="no phrases to find"):
        grounding_scores_of([])
    nothing = Grounded(*(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), ()))
    with pytest.raises(InputError, match="samples with phrases and their boxes"):
        grounding_rows(Sample(photo(8, 8)), nothing)
