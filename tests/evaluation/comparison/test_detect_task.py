"""Detectors side by side: numbers equal the metric's, cells are kept, what is refused."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from dense.cli.main import main
from dense.datasets import DetectionFolder
from dense.datasets.coco import category_ids
from dense.errors import InputError
from dense.evaluation.comparison import compare, to_json, write_tables
from dense.evaluation.comparison.detect_plan import DetectSetup, plan
from dense.evaluation.comparison.detect_task import DetectTask, found_share
from dense.evaluation.comparison.tables import to_markdown
from dense.evaluation.detection import average_precision, coco_rows
from dense.methods.detection.build import build_detector
from dense.methods.detection.detector import DetectSettings
from dense.methods.detection.grouping import PatchGrouping
from dense.structures import DetectionResult, Sample
from tests.datasets.made import make_detection
from tests.helpers import photo, tiny_backbone

pytest.importorskip("faster_coco_eval")
made_backbone = cache(tiny_backbone)
NAMES = ["bolt", "nut"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two pictures: nothing in the first, a nut and a bolt (and a crowd) in the second."""
    return make_detection(tmp_path / "boxes")


def run(root: Path, out: Path, methods: tuple[str, ...] = ("regions", "boxes"), **options: object):
    setup = DetectSetup([root], methods, templates="plain", **options)  # type: ignore[arg-type]
    return compare(DetectTask(made_backbone(), setup, cache=out / "text"), out)


def rows_of(found: object) -> dict[tuple[str, object, object], dict]:
    rows = to_json(found)["detectors"]  # type: ignore[arg-type]
    return {(r["method"], r["proposals"], r["objectness"]): r["values"] for r in rows}  # type: ignore[attr-defined]


def test_numbers_equal_the_metrics(data: Path, tmp_path: Path) -> None:
    rows = rows_of(run(data, tmp_path / "out", proposals=(5, 50), objectness=(0.0, 1.0)))
    assert set(rows) == {
        *(("regions", count, power) for count in (5, 50) for power in ("0", "1")),
        ("boxes", "given", "-"),
    }
    folder = DetectionFolder(data)
    for (method, count, power), values in rows.items():
        given = method == "boxes"
        detector = build_detector(
            made_backbone(),
            NAMES,
            templates="plain",
            method=method,
            proposer=None if given else PatchGrouping(limit=count),  # type: ignore[arg-type]
            settings=None if given else DetectSettings(objectness=float(power)),  # type: ignore[arg-type]
        )
        found = [
            row
            for record, result in zip(
                folder.records, detector.predict([folder[0], folder[1]]), strict=True
            )
            for row in coco_rows(result, record.image_id, category_ids(folder.annotations))
        ]
        wanted = average_precision(folder.annotations, found)
        for name in ("ap", "ap50", "ap75", "ar"):
            assert values[name]["mean"] == pytest.approx(wanted[name]), name
        assert values["images"]["mean"] == 2 and values["boxes"]["mean"] == 2
        assert values["s_per_image"]["mean"] > 0
    assert rows["boxes", "given", "-"]["proposals50"]["mean"] == 100
    few, many = (rows["regions", count, "1"]["proposals50"]["mean"] for count in (5, 50))
    assert few <= many < 100


def test_cells_are_kept_until_what_they_depend_on_changes(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = run(data, out, ("regions",))
    kept = {r["key"]: r["seconds"] for r in first.records}
    again = {r["key"]: r["seconds"] for r in run(data, out, proposals=(7, 300)).records}
    assert kept.items() <= again.items() and len(again) == 3
    for other in ({"short_side": 48}, {"background": ("sea",)}, {"background": ()}, {"limit": 1}):
        found = run(data, out, ("regions",), **other)
        assert kept.keys().isdisjoint(r["key"] for r in found.records), other
    content = json.loads((data / "instances.json").read_text())
    content["annotations"][0]["bbox"][2] = 11
    (data / "instances.json").write_text(json.dumps(content))
    assert kept.keys().isdisjoint(r["key"] for r in run(data, out, ("regions",)).records)


def test_page_and_markdown(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = run(data, out)
    text = to_markdown(found)
    assert "proposals50" in text and "proposals 300, objectness 0.5: method regions" in text
    page = next(path for path in write_tables(found, out) if path.suffix == ".html").read_text()
    assert page.count("data:image") == 4  # two detectors, worst and best
    run(data, tmp_path / "none", pictures=False)
    assert not list((tmp_path / "none" / "cells").glob("*.jpg"))


def test_a_limit_leaves_the_other_pictures_out_of_the_score(data: Path, tmp_path: Path) -> None:
    """The first picture, evenly spaced, has no box: nothing is defined."""
    values = next(iter(rows_of(run(data, tmp_path / "out", ("boxes",), limit=1)).values()))
    assert values["images"]["mean"] == 1 and values["boxes"]["mean"] == 0
    assert values["ar"]["mean"] != values["ar"]["mean"]
    assert values["proposals50"]["mean"] != values["proposals50"]["mean"]


def test_share_found_by_hand() -> None:
    """Two objects: of the two best detections the first is right, the second a wrong name."""
    truth = Sample(
        photo(40, 60),
        boxes=np.array([[0, 0, 10, 10], [20, 20, 40, 40]], np.float32),
        box_labels=np.array([0, 1]),
    )
    found = DetectionResult(
        np.array([[20, 20, 40, 40], [0, 0, 10, 12], [20, 20, 40, 38]], np.float32),
        np.array([0.5, 0.9, 0.4], np.float32),
        np.array([0, 0, 1]),
        ("a", "b"),
    )
    assert found_share(truth, found) == 50
    nothing = DetectionResult(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros(0, np.int64), ("a", "b")
    )
    assert found_share(truth, nothing) == 0
    assert np.isnan(found_share(Sample(photo(8, 8)), found))


def test_one_command(data: Path, tmp_path: Path, monkeypatch, capsys) -> None:
    from dense.apps import files

    monkeypatch.setattr(files, "load", lambda name, **options: made_backbone())
    out = tmp_path / "out"
    words = ["compare", str(data), "--task", "detect", "--methods", "regions", "boxes"]
    words += ["--proposals", "5", "20", "--objectness", "0", "--background", "--out", str(out)]
    assert main([*words, "--json", str(tmp_path / "a.json")]) == 0
    printed = capsys.readouterr().out
    assert "proposals50" in printed and "background: \n" not in printed
    rows = json.loads((out / "table.json").read_text())["detectors"]
    assert [(row["method"], row["proposals"]) for row in rows] == [
        ("regions", 5), ("regions", 20), ("boxes", "given"),
    ]  # fmt: skip
    assert not rows[0]["protocol_card"]["background"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--methods", "winclip"], "unknown detect method 'winclip'"),
        (["--methods", "f-vit"], "--weights f-vit=FILE"),
        (["--methods", "regions", "--weights", "boxes=x"], "given for boxes, which is not"),
        (["--shots", "1"], "--shots is an option of inspect, but DATA is compared by detect"),
        (["--proposals", "0"], "--proposals: must be a whole number of 1 or more"),
        (["--objectness", "-1"], "--objectness: must lie in [0, 10]"),
        (["--limit", "0"], "--limit: must be a whole number of 1 or more"),
    ],
)
def test_bad_options_are_one_sentence(data: Path, refused, words, message) -> None:
    lines = refused(data, ["--task", "detect", *words])
    assert len(lines) == 1 and message in lines[0]


def test_bad_setups(data: Path) -> None:
    for setup, message in (
        (DetectSetup([data], limit=0), "the limit must be 1 or more"),
        (DetectSetup([data], proposals=(0,)), "patch grouping needs"),
        (DetectSetup([data], objectness=(-1.0,)), "objectness must be 0 or more"),
    ):
        with pytest.raises(InputError, match=message):
            plan(setup)
    assert "f-vit" not in [cell.method.name for cell in plan(DetectSetup([data]))[0]]
    content = json.loads((data / "instances.json").read_text())
    (data / "instances.json").write_text(json.dumps({**content, "annotations": []}))
    with pytest.raises(InputError, match="has no boxes to find"):
        plan(DetectSetup([data]))
