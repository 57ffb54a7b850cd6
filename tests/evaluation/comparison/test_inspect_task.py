"""Comparisons: what runs, what is kept, what is counted, and how bad input ends."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dense.backbones import CLIPBackbone
from dense.cli.main import main
from dense.errors import InputError
from dense.evaluation.comparison import Comparison, compare, inspect_plan, write_tables
from dense.evaluation.comparison import inspect_task as module
from dense.evaluation.comparison.cells import name_roots
from dense.evaluation.comparison.extremes import Extremes
from dense.evaluation.comparison.inspect_plan import Setup, plan
from dense.evaluation.comparison.inspect_tables import KINDS, category_rows, macro_rows
from dense.evaluation.comparison.inspect_task import InspectTask
from dense.evaluation.comparison.tables import remarks, table, to_json, to_markdown
from dense.evaluation.inspection import CategoryData, evenly, measure
from dense.images import read_image
from dense.methods.anomaly.base import Inspector
from dense.methods.catalog import find_method
from dense.methods.method import Method
from dense.structures import AnomalyResult, Sample
from tests.datasets.made import make_category, write
from tests.evaluation.comparison.conftest import Refused
from tests.helpers import photo, tiny_backbone


class Grey(Inspector):
    """Scores by the mean grey value; with support, by the distance to its mean."""

    runs = 0

    def fit(self, support: Sequence[Sample]) -> Grey:
        self.level = float(np.mean([sample.image.mean() for sample in support]))
        return self

    def predict(self, samples: Sequence[Sample]) -> list[AnomalyResult]:
        Grey.runs += len(samples)
        level = getattr(self, "level", 0.0)
        return [
            AnomalyResult(
                np.abs(s.image.mean(2) - level).astype(np.float32), abs(s.image.mean() - level)
            )
            for s in samples
        ]

    def describe(self) -> dict[str, object]:
        return {"method": "grey", "level": getattr(self, "level", None)}


def build_grey(backbone: CLIPBackbone, products: dict[str, str], **options: object) -> Grey:
    return Grey(backbone, products)


def build_broken(backbone: CLIPBackbone, products: dict[str, str], **options: object) -> Grey:
    raise ZeroDivisionError("a bug")


def method(name: str, build: str, *, zero_shot: bool = True, few_shot: bool = True) -> Method:
    where = f"{__name__}:{build}"
    return Method(name, "inspect", name, "", where, "", zero_shot, few_shot)


CATALOGUE = {
    "grey": method("grey", "build_grey"),
    "words": method("words", "build_grey", few_shot=False),
    "memory": method("memory", "build_grey", zero_shot=False),
    "broken": method("broken", "build_broken"),
}


@pytest.fixture(autouse=True)
def catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    real = inspect_plan.find_method
    monkeypatch.setattr(
        inspect_plan,
        "find_method",
        lambda name, task: CATALOGUE[name] if name in CATALOGUE else real(name, task),
    )
    Grey.runs = 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    make_category(tmp_path / "parts" / "nut")
    make_category(tmp_path / "parts" / "metal_bolt", good=3, bad=2)
    return tmp_path / "parts"


def setup(data: Path, **options: object) -> Setup:
    chosen = {"methods": ["grey"], "shots": (0, 1), "seeds": (0, 1), "bins": None} | options
    return Setup([data], **chosen)  # type: ignore[arg-type]


def run(data: Path, out: Path, **options: object) -> tuple[Comparison, list[str]]:
    lines: list[str] = []
    task = InspectTask(tiny_backbone(), setup(data, **options))
    return compare(task, out, progress=lines.append), lines


class TestPlan:
    def test_methods_have_the_cells_they_can_have(self, data: Path) -> None:
        cells, left_out = plan(setup(data, methods=["grey", "words", "memory"], shots=(1, 0)))
        assert [str(cell) for cell in cells[:7]] == [
            "parts/metal_bolt, grey, 0-shot",
            "parts/metal_bolt, grey, 1-shot, seed 0",
            "parts/metal_bolt, grey, 1-shot, seed 1",
            "parts/metal_bolt, words, 0-shot",
            "parts/metal_bolt, memory, 1-shot, seed 0",
            "parts/metal_bolt, memory, 1-shot, seed 1",
            "parts/nut, grey, 0-shot",
        ]
        assert len(cells) == 12
        assert left_out == [
            "words takes no support pictures: no 1-shot row",
            "memory needs support pictures: no 0-shot row",
        ]

    def test_categories_are_chosen(self, data: Path) -> None:
        assert {c.category for c in plan(setup(data, categories=["nut"]))[0]} == {"nut"}

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"shots": ()}, "shots must be 0 or more"),
            ({"shots": (-1,)}, "shots must be 0 or more"),
            ({"seeds": ()}, "seeds must be 0 or more, at least one"),
            ({"seeds": (-1,)}, "seeds must be 0 or more"),
            ({"batch_size": 0}, "batch_size must be 1 or more"),
            ({"products": {"nur": "a nut"}}, "unknown category of a product 'nur'.*nut"),
            ({"weights": {"patch": Path("x")}}, "patch has no learned parts"),
            ({"weights": {"clip-ad": Path("gone")}}, "no such file of learned parts: gone"),
            ({"methods": ["april-gan"]}, "april-gan needs learned parts"),
            ({"methods": ["wincip"]}, "unknown inspect method 'wincip'.*winclip"),
            ({"weights": {"wincip": Path("x")}}, "unknown inspect method 'wincip'"),
            ({"methods": ["words"], "shots": (4,)}, "nothing to compare: words takes no support"),
            ({"categories": ["nur"]}, "unknown category 'nur'.*nut"),
            ({"layout": "mvtek"}, "unknown layout"),
        ],
    )
    def test_bad_settings(self, data: Path, options: dict[str, object], message: str) -> None:
        with pytest.raises(InputError, match=message):
            plan(setup(data, **options))

    def test_roots_of_one_name_get_more_of_their_path(self, tmp_path: Path) -> None:
        roots = [tmp_path / "a" / "x", tmp_path / "b" / "x", tmp_path / "y", tmp_path / "y"]
        assert [name for name, _ in name_roots(roots)] == ["a/x", "b/x", "y"]

    def test_default_methods_need_no_learned_parts(self, data: Path) -> None:
        chosen = setup(data, methods=()).chosen()
        assert {"winclip", "patch"} <= {m.name for m in chosen}
        assert not any(m.trained for m in chosen)


class TestRun:
    def test_numbers_are_those_of_single_measurements(self, data: Path, tmp_path: Path) -> None:
        found, _ = run(data, tmp_path / "out")
        assert (len(found.records), found.failures) == (6, [])
        nut = CategoryData(data, "nut")
        direct = measure(Grey(tiny_backbone(), "nut"), nut, shots=1, seed=1)
        record = next(r for r in found.records if (r["category"], r["seed"]) == ("nut", 1))
        assert record["metrics"] == direct.metrics
        assert record["support"] == direct.support and len(direct.support) == 1
        assert record["words"] == "nut"
        assert record["protocol"]["level"] == pytest.approx(nut.support(1, 1)[0].image.mean())

    def test_finished_cells_are_not_run_again(self, data: Path, tmp_path: Path) -> None:
        first, _ = run(data, tmp_path / "out")
        runs = Grey.runs
        again, lines = run(data, tmp_path / "out")
        assert Grey.runs == runs == 6 * 5
        assert again.records == first.records
        assert all(line.endswith("measured before") for line in lines)
        more, _ = run(data, tmp_path / "out", seeds=(0, 1, 2))
        assert (Grey.runs, len(more.records)) == (runs + 10, 8)

    def test_an_interrupted_comparison_goes_on(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, calls = module.measure, []

        def stop(*arguments: object, **options: object) -> object:
            calls.append(1)
            if len(calls) == 3:
                raise KeyboardInterrupt
            return real(*arguments, **options)  # type: ignore[arg-type]

        monkeypatch.setattr(module, "measure", stop)
        with pytest.raises(KeyboardInterrupt):
            run(data, tmp_path / "out")
        monkeypatch.setattr(module, "measure", real)
        assert Grey.runs == 10
        run(data, tmp_path / "out")
        assert Grey.runs == 30

    @pytest.mark.parametrize(
        "change",
        [
            {"bins": 2**12},
            {"limit": 3},
            {"sizes": (16,)},
            {"products": {"nut": "hexagon nut"}},
        ],
    )
    def test_a_changed_setting_is_measured_anew(
        self, data: Path, tmp_path: Path, change: dict[str, object]
    ) -> None:
        fixed = {"categories": ["nut"], "shots": (0,)}
        run(data, tmp_path / "out", **fixed)
        runs = Grey.runs
        run(data, tmp_path / "out", **fixed, **change)
        assert Grey.runs > runs

    def test_changed_data_checkpoint_or_code_is_measured_anew(
        self, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fixed = {"categories": ["nut"], "shots": (0,)}
        run(data, tmp_path / "out", **fixed)
        write(data / "nut" / "train" / "good" / "new.png", photo(32, 32, 90))
        run(data, tmp_path / "out", **fixed)
        assert Grey.runs == 5  # zero-shot does not look at the training pictures
        write(data / "nut" / "test" / "good" / "000.png", photo(32, 32, 91))
        run(data, tmp_path / "out", **fixed)
        assert Grey.runs == 10
        other = tiny_backbone(seed=1)
        compare(InspectTask(other, setup(data, **fixed)), tmp_path / "out")
        assert Grey.runs == 15
        monkeypatch.setattr(module, "code_digest", lambda *modules: "edited")
        run(data, tmp_path / "out", **fixed)
        assert Grey.runs == 20

    def test_a_broken_cell_file_is_measured_anew(self, data: Path, tmp_path: Path) -> None:
        run(data, tmp_path / "out", categories=["nut"], shots=(0,))
        next((tmp_path / "out" / "cells").glob("*.json")).write_text('{"metrics"')
        run(data, tmp_path / "out", categories=["nut"], shots=(0,))
        assert Grey.runs == 10

    def test_a_failing_method_does_not_cost_the_others(self, data: Path, tmp_path: Path) -> None:
        found, lines = run(data, tmp_path / "out", methods=["broken", "grey"], shots=(0,))
        assert [r["method"] for r in found.records] == ["grey", "grey"]
        assert [f["error"] for f in found.failures] == ["ZeroDivisionError: a bug"] * 2
        assert "build_broken" in found.failures[0]["trace"]
        assert sum("FAILED" in line for line in lines) == 2
        assert "broken, 0-shot: ZeroDivisionError: a bug" in to_markdown(found)

    def test_learned_parts_that_cannot_be_read(self, data: Path, tmp_path: Path) -> None:
        weights = {"clip-ad": tmp_path / "a.safetensors"}
        weights["clip-ad"].write_text("no weights")
        found, _ = run(data, tmp_path / "out", methods=["clip-ad"], shots=(0,), weights=weights)
        assert "corrupt safetensors file" in found.failures[0]["error"]
        assert "trace" not in found.failures[0]

    def test_limit_keeps_both_kinds(self, data: Path, tmp_path: Path) -> None:
        found, _ = run(data, tmp_path / "out", categories=["nut"], shots=(0,), limit=2)
        assert found.records[0]["images"] == 2
        assert found.records[0]["reasons"] == {}
        with pytest.raises(InputError, match="the limit must be 1 or more"):
            evenly([0, 1], 0)

    @pytest.mark.parametrize("limit", range(1, 12))
    def test_evenly(self, limit: int) -> None:
        labels = [0] * 8 + [1] * 4
        chosen = evenly(labels, limit)
        assert len(chosen) == len(set(chosen)) == limit
        assert chosen == sorted(chosen)
        assert limit == 1 or {labels[place] for place in chosen} == {0, 1}

    def test_method_order_and_seed_reuse_leave_no_trace(self, data: Path, tmp_path: Path) -> None:
        """An inspector serves all seeds of a cell: its second fit must not see the first."""
        both, _ = run(data, tmp_path / "a", methods=["patch"], shots=(1,), seeds=(0, 1))
        alone, _ = run(data, tmp_path / "b", methods=["patch"], shots=(1,), seeds=(1,))
        second = [r["metrics"] for r in both.records if r["seed"] == 1]
        assert second == [r["metrics"] for r in alone.records]


class TestTables:
    @staticmethod
    def record(category: str, seed: int, value: float, data: str = "d") -> dict[str, object]:
        names = {"data": data, "category": category, "method": "m", "shots": 1, "seed": seed}
        return names | {"metrics": {"aupro": value}, "reasons": {}, "notes": [], "errors": {}}

    def test_means_and_deviations_hand_worked(self) -> None:
        values = {("a", 0): 10.0, ("a", 1): 20.0, ("b", 0): 40.0, ("b", 1): 54.0}
        records = [self.record(*key, value) for key, value in values.items()]
        row = category_rows(records)[0].values["aupro"]
        assert (row.mean, row.sd, row.runs) == (15.0, pytest.approx(50**0.5), 2)
        macro = macro_rows(records)[0].values["aupro"]
        # Means over categories: 25 and 37 for the two seeds.
        assert (macro.mean, macro.sd) == (31.0, pytest.approx(72**0.5))
        assert str(macro) == "31.0 ± 8.5"

    def test_undefined_and_unfinished_categories_are_left_out_and_counted(self) -> None:
        nan = float("nan")
        records = [self.record("a", s, v) for s, v in ((0, 10.0), (1, 12.0))]
        records += [self.record("b", s, nan) for s in (0, 1)] + [self.record("c", 0, 99.0)]
        rows = macro_rows(records)
        assert table(rows)[1] == [["d", "m", "1", "11.0 ± 1.4 (1/3)"]]
        assert table(category_rows(records))[1][1][-1] == "-"

    def test_several_data_sets_have_a_common_mean(self) -> None:
        records = [self.record("a", 0, 10.0, "x"), self.record("a", 0, 30.0, "y")]
        assert [(row.names["data"], row.values["aupro"].mean) for row in macro_rows(records)] == [
            ("x", 10.0),
            ("y", 30.0),
            ("all", 20.0),
        ]

    def test_files(self, data: Path, tmp_path: Path) -> None:
        found, _ = run(data, tmp_path / "out", bins=2**12, sizes=(0, 16))
        paths = write_tables(found, tmp_path / "out")
        assert [path.name for path in paths] == ["table.json", "table.md", "table.html"]
        content = json.loads(paths[0].read_text())
        assert content == json.loads(json.dumps(to_json(found)))
        assert (
            len(content["mean_over_categories"]),
            len(content["by_category"]),
            len(content["cells"]),
        ) == (
            2,
            4,
            6,
        )
        markdown = paths[1].read_text()
        assert "| data | category | method | shots | image_auroc |" in markdown
        assert "aupro@16" in markdown and "- seeds: 0, 1" in markdown
        assert "at most this many percent points off" in markdown
        page = paths[2].read_text()
        assert page.count("data:image/jpeg") == 2 * 3
        assert "http" not in page.replace("http-equiv", "")

    def test_undefined_is_null_and_has_a_reason(self, data: Path, tmp_path: Path) -> None:
        shutil.rmtree(data / "nut" / "ground_truth")
        found, _ = run(data, tmp_path / "out", categories=["nut"], shots=(0,))
        content = json.loads(write_tables(found, tmp_path / "out")[0].read_text())
        cell = content["cells"][0]
        assert cell["metrics"]["aupro"] is None and cell["metrics"]["image_auroc"] is not None
        assert cell["reasons"]["aupro"] == "no defective picture has a mask that marks its defect"
        assert remarks(found)["Undefined"] == [
            "parts/nut: pixel_auroc, pixel_ap, pixel_f1_max, aupro, aupro_05, aupimo: "
            "no defective picture has a mask that marks its defect"
        ]
        again, _ = run(data, tmp_path / "out", categories=["nut"], shots=(0,))
        assert np.isnan(again.records[0]["metrics"]["aupro"])


def test_the_most_telling_pictures(tmp_path: Path) -> None:
    extremes = Extremes[AnomalyResult](KINDS, lambda s, r: module._draw(s, r, (0.0, 1.0)))
    for number, (label, score) in enumerate([(1, 0.4), (0, 0.5), (1, 0.9), (0, 0.2), (1, 0.1)]):
        mask = np.full((40, 400), bool(label))
        sample = Sample(photo(40, 400), Path(f"{number}.png"), mask, label)
        result = AnomalyResult(np.zeros((40, 400), np.float32), score)
        extremes.see(module._ranks(sample, result), score, sample, result)
    written = extremes.write(tmp_path / "cell")
    found = {entry["kind"]: (entry["source"], entry["score"]) for entry in written}
    assert found == {
        "hardest": ("4.png", 0.1),
        "alarming": ("1.png", 0.5),
        "clearest": ("2.png", 0.9),
    }
    assert read_image(tmp_path / "cell_hardest.jpg").shape == (32, 320, 3)


class TestBadInput:
    def only(self, root: Path, tmp_path: Path, **options: object) -> dict[str, object]:
        fixed = {"methods": ["patch"], "shots": (0,), "seeds": (0,)}
        found, _ = run(root, tmp_path / "out", **(fixed | options))
        assert found.failures == []
        return found.records[-1]

    def test_more_shots_than_pictures(self, data: Path, tmp_path: Path) -> None:
        found, _ = run(data, tmp_path / "out", categories=["nut"], shots=(0, 9), seeds=(0,))
        assert [r["shots"] for r in found.records] == [0]
        assert found.failures[0]["error"] == (
            "9 support images were asked for, but there are only 5"
        )

    def test_support_pictures_of_different_sizes(self, data: Path, tmp_path: Path) -> None:
        write(data / "nut" / "train" / "good" / "000.png", photo(48, 80, 1))
        write(data / "nut" / "train" / "good" / "001.png", photo(20, 20, 2))
        for name in ("patch", "winclip"):
            record = self.only(
                data, tmp_path, methods=[name], shots=(5,), categories=["nut"], pictures=False
            )
            metrics = record["metrics"]
            assert isinstance(metrics, dict) and np.isfinite(list(metrics.values())).all()

    def test_the_same_support_picture_twice_adds_nothing(self, data: Path) -> None:
        nut = CategoryData(data, "nut")
        one = nut.support(1, 0)
        again = replace(one[0], image_path=Path("copy.png"))
        tests = next(iter(nut.batches()))
        build = find_method("patch", "inspect").builder()
        once = build(tiny_backbone(), "nut", shots=1).fit(one).predict(tests)
        twice = build(tiny_backbone(), "nut", shots=1).fit([*one, again]).predict(tests)
        for left, right in zip(once, twice, strict=True):
            np.testing.assert_allclose(left.anomaly_map, right.anomaly_map, atol=1e-5)
            assert left.score == pytest.approx(right.score, abs=1e-5)

    @pytest.mark.parametrize(
        ("gone", "reason"),
        [("good", "has no normal picture"), ("scratch", "has no anomalous picture")],
    )
    def test_one_kind_of_test_picture(
        self, data: Path, tmp_path: Path, gone: str, reason: str
    ) -> None:
        shutil.rmtree(data / "nut" / "test" / gone)
        record = self.only(data, tmp_path, categories=["nut"])
        reasons, metrics = record["reasons"], record["metrics"]
        assert isinstance(reasons, dict) and isinstance(metrics, dict)
        assert reason in reasons["image_auroc"]
        assert np.isnan(metrics["image_auroc"])
        assert np.isnan(metrics["pixel_auroc"]) == (gone == "scratch")

    def test_a_constant_picture(self, data: Path, tmp_path: Path) -> None:
        for place in ("train/good/000.png", "test/good/000.png", "test/scratch/000.png"):
            write(data / "nut" / place, np.full((32, 32, 3), 128, np.uint8))
        record = self.only(data, tmp_path, categories=["nut"], shots=(5,))
        metrics = record["metrics"]
        assert isinstance(metrics, dict) and np.isfinite(list(metrics.values())).all()

    def test_grey_mask_edges_and_an_empty_mask(self, data: Path, tmp_path: Path) -> None:
        before = self.only(data, tmp_path, categories=["nut"])
        folder = data / "nut" / "ground_truth" / "scratch"
        soft = np.zeros((32, 32), np.uint8)
        soft[:17, :17], soft[:16, :16] = 90, 255
        write(folder / "000_mask.png", soft)
        assert self.only(data, tmp_path, categories=["nut"])["metrics"] == before["metrics"]
        write(folder / "001_mask.png", np.zeros((32, 32), np.uint8))
        record = self.only(data, tmp_path, categories=["nut"])
        notes, metrics, old = record["notes"], record["metrics"], before["metrics"]
        assert isinstance(notes, list) and notes[0].startswith("1 of 3 defective pictures mark no")
        assert isinstance(metrics, dict) and isinstance(old, dict)
        assert metrics["image_auroc"] == old["image_auroc"]
        assert metrics["pixel_auroc"] != old["pixel_auroc"]

    def test_an_odd_product_name(self, tmp_path: Path) -> None:
        name = "M3 {}-Schraube | ä<b>%s"
        make_category(tmp_path / "parts" / name)
        found, _ = run(tmp_path / "parts", tmp_path / "out", methods=["patch"], shots=(0, 1))
        assert found.failures == []
        paths = write_tables(found, tmp_path / "out")
        assert f"| {name.replace('|', chr(92) + '|')} | patch | 0 |" in paths[1].read_text()
        assert "<b>%s" not in paths[2].read_text()
        assert json.loads(paths[0].read_text())["cells"][0]["category"] == name


class TestCommand:
    @pytest.fixture(autouse=True)
    def tiny(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("dense.apps.files.load", lambda *_, **__: tiny_backbone())

    def test_prints_and_writes_the_table(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        options = ["--methods", "patch", "--shots", "0", "1", "--seeds", "0", "1", "--sizes"]
        options += ["native", "16", "--limit", "4", "--product", "nut=hexagon nut"]
        assert main(["compare", str(data), *options, "--out", str(tmp_path / "out")]) == 0
        captured = capsys.readouterr()
        assert "mean over categories" in captured.out and "±" in captured.out
        assert "[6/6] parts/nut, patch, 1-shot, seed 1: image_auroc" in captured.err
        content = json.loads((tmp_path / "out" / "table.json").read_text())
        assert {row["words"] for row in content["cells"]} == {"hexagon nut", "metal bolt"}
        assert content["protocol"]["pixels scored at"] == ["native", 16]

    def test_one_category_has_no_second_table(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        out = ["--shots", "0", "--out", str(tmp_path / "out"), "--methods", "patch", "--exact"]
        assert main(["compare", str(data), "--categories", "nut", *out]) == 0
        printed = capsys.readouterr().out
        assert "by category" in printed and "mean over categories" not in printed

    def test_several_defect_types_have_a_table_of_their_own(
        self, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for name in ("test", "ground_truth"):
            (source,) = (data / "nut" / name / "scratch").glob("000*.png")
            (data / "nut" / name / "dent").mkdir()
            source.rename(data / "nut" / name / "dent" / source.name)
        options = ["--methods", "patch", "--shots", "0", "--out", str(tmp_path / "out")]
        assert main(["compare", str(data), *options]) == 0
        assert "by defect type" in capsys.readouterr().out
        content = json.loads((tmp_path / "out" / "table.json").read_text())
        rows = content["by_defect_type"]
        assert [
            (row["category"], row["defect"], row["values"]["images"]["mean"]) for row in rows
        ] == [
            ("nut", "dent", 1),
            ("nut", "scratch", 2),
        ]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (["--methods", "wincip"], "unknown inspect method 'wincip'"),
            (["--shots", "99", "--methods", "patch"], "every cell failed, the first one: 99 supp"),
            (["--sizes", "0"], "--sizes: must be a whole number of 1 or more, got 0"),
            (["--product", "nut=a", "nut=b"], "--product names nut twice: 'a' and 'b'"),
            (["--seeds", "-1"], "--seeds: must lie in"),
            (["--limit", "0"], "--limit: must be a whole number of 1 or more"),
            (["--weights", "patch"], "--weights expects pairs with an equals sign, got 'patch'"),
        ],
    )
    def test_wrong_options_are_one_line(
        self, data: Path, refused: Refused, options: list[str], message: str
    ) -> None:
        assert message in refused(data, options)[-1]

    def test_data_that_are_not_there(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["compare", "/no/where", "--out", "x"]) == 2
        assert "DATA is not a folder: /no/where" in capsys.readouterr().err
