"""Lookers under the Runner: every config runs, metrics by hand; Alpha-CLIP trains and exports."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from dense.datasets.referring import ReferringFolder, ReferringSample
from dense.engine import factories
from dense.engine.alpha_stage import ExportAlphaHook
from dense.engine.looking import GroundingMetric, NamingMetric
from dense.engine.model import Prediction
from dense.engine.run import test_config, train_config
from dense.errors import InputError
from dense.methods.looking.alpha_clip import read_alpha, save_alpha
from dense.methods.looking.answers import Grounded, RegionNames
from dense.structures import DetectionResult, Sample
from tests.datasets.made import make_detection, make_refcoco, make_referring
from tests.helpers import photo, tiny_backbone
from tests.reference.looking_inputs import alpha_vit

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "look"
NAMED = [p.stem for p in sorted(CONFIGS.glob("*_embedded_folder.py")) if "ground_" not in p.stem]
FOUND = sorted(p.stem for p in CONFIGS.glob("ground_*_embedded_folder.py"))
REFCOCO = sorted(p.stem for p in CONFIGS.glob("*_refcoco*.py"))


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())


def run(config: str, root: Path, work: Path, **options: object) -> dict:
    fast = {"test_dataloader.num_workers": 0, **options}
    return test_config(
        CONFIGS / f"{config}.py", data_root=root, work_dir=work, options=fast, draw_dir=work / "d"
    )


@pytest.mark.parametrize("name", NAMED)
def test_naming_configs_run(name: str, tmp_path: Path) -> None:
    options = {"model.method.templates": "plain"}
    report = run(name, make_detection(tmp_path / "data"), tmp_path / "work", **options)
    overall = report["overall"]
    assert report["samples"] == 2 and overall["count"] == 2
    thirds = [overall[f"count_{part}_third"] for part in ("smallest", "middle", "largest")]
    assert thirds == [1, 1, 0] and overall["count_small"] == 2
    assert overall["top1"] == pytest.approx(
        (overall["top1_smallest_third"] + overall["top1_middle_third"]) / 2
    )
    wanted = name.removesuffix("_embedded_folder").replace("_", "-")
    assert report["protocol"]["method"] in (wanted, wanted.removesuffix("-features"))


@pytest.mark.parametrize("name", FOUND)
def test_grounding_configs_run(name: str, tmp_path: Path) -> None:
    report = run(name, make_referring(tmp_path / "data"), tmp_path / "work")
    assert report["samples"] == 2 and report["overall"]["count"] == 4
    assert report["overall"]["accuracy"] >= 25  # the only region of the second picture
    assert len(list((tmp_path / "work" / "d").glob("*.png"))) == 2


@pytest.mark.parametrize("name", REFCOCO)
def test_refcoco_configs_run(name: str, tmp_path: Path) -> None:
    options = {}
    if name.startswith("alpha"):
        save_alpha(tmp_path / "alpha.safetensors", alpha_vit(tiny_backbone()))
        options["model.method.weights"] = str(tmp_path / "alpha.safetensors")
    report = run(name, make_refcoco(tmp_path / "data"), tmp_path / "work", **options)
    assert report["overall"]["count"] == 3  # the phrases of "val"
    assert {"accuracy", "ciou", "miou", "precision_90"} <= set(report["overall"])


def named(index: int, labels: list[int], truth: list[int], boxes: list) -> Prediction:
    chances = np.eye(3, dtype=np.float32)[labels]
    sample = Sample(
        photo(100, 100),
        boxes=np.array(boxes, np.float32),
        box_labels=np.array(truth, np.int64),
    )
    result = RegionNames(
        sample.boxes, chances.max(1), np.array(labels), ("a", "b", "c"), None, chances
    )
    return Prediction(index, sample, result)


def test_naming_metric_by_hand() -> None:
    metric = NamingMetric()
    rows = [
        named(0, [0, 1], [0, 2], [[0, 0, 10, 10], [0, 0, 50, 50]]),
        named(1, [2], [2], [[0, 0, 100, 99]]),
    ]
    metric.process({}, rows)
    metric.process({}, rows[:1])  # seen twice counts once
    scores = metric.evaluate(2)
    assert scores["top1"] == pytest.approx(200 / 3)
    assert [scores[f"top1_{p}"] for p in ("small", "medium", "large")] == [100, 0, 100]
    assert scores["top1_middle_third"] == 0


def test_grounding_metric_by_hand(tmp_path: Path) -> None:
    data = ReferringFolder(make_referring(tmp_path), masks=True)
    first = data[0]
    result = Grounded(
        first.boxes[[0, 0, 0]],
        np.ones(3, np.float32),
        np.arange(3),
        first.phrases,
        first.masks[[0, 0, 0]],
        first.boxes,
    )
    metric = GroundingMetric()
    metric.process({}, [Prediction(0, first, result)])
    scores = metric.evaluate(1)
    assert scores["accuracy"] == pytest.approx(200 / 3) == scores["precision_50"]
    squares, tall = 400, 20 * 34
    assert scores["ciou"] == pytest.approx(100 * 2 * squares / (3 * squares + tall))


def test_metrics_refuse() -> None:
    plain = DetectionResult(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), ("a",))
    sample = Sample(photo(8, 8))
    for metric, message in (
        (NamingMetric(), "names regions"),
        (GroundingMetric(), "finds phrases"),
    ):
        with pytest.raises(InputError, match=message):
            metric.process({}, [Prediction(0, sample, plain)])
    answer = RegionNames(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64), ("a",))
    with pytest.raises(InputError, match="a sample has none"):
        NamingMetric().process({}, [Prediction(0, sample, answer)])
    boxed = Sample(photo(8, 8), boxes=np.ones((1, 4), np.float32), box_labels=np.zeros(1, np.int64))
    with pytest.raises(InputError, match="every box needs one answer, got 0 for 1"):
        NamingMetric().process({}, [Prediction(0, boxed, answer)])
    found = Grounded(np.zeros((1, 4)), np.zeros(1), np.zeros(1, np.int64), ("a",))
    with pytest.raises(InputError, match="samples with phrases"):
        GroundingMetric().process({}, [Prediction(0, ReferringSample(photo(8, 8)), found)])


class TestAlphaTraining:
    def train(self, root: Path, work: Path, name: str, **more: object) -> dict:
        options = {
            "train_cfg.max_iters": 2,
            "default_hooks.checkpoint.interval": 2,
            "default_hooks.logger.interval": 1,
            "train_dataloader.batch_size": 2,
            "train_dataloader.num_workers": 0,
            "train_dataloader.rule.side": 32,
            "optim_wrapper.optimizer.lr": 1e-3,
            **more,
        }
        return train_config(
            ROOT / "configs" / "train" / f"{name}.py",
            data_root=root,
            options=options,
            work_dir=work,
        )

    def losses(self, work: Path) -> list[dict]:
        scalars = next(work.glob("*/vis_data/scalars.json")).read_text()
        return [json.loads(line) for line in scalars.splitlines()]

    def test_runs_two_iterations_and_exports(self, tmp_path: Path) -> None:
        root, work = make_detection(tmp_path / "data"), tmp_path / "work"
        content = json.loads((root / "instances.json").read_text())
        content["annotations"].append(
            {"id": 9, "image_id": 4, "category_id": 2, "bbox": [2, 2, 20, 20]}
        )
        (root / "instances.json").write_text(json.dumps(content))
        assert self.train(root, work, "alpha_clip_embedded")["iterations"] == 2
        rows = self.losses(work)
        assert [row["step"] for row in rows] == [1, 2]
        assert all(math.isfinite(row["loss_words"]) for row in rows) and rows[0]["loss_words"] > 0
        vit = read_alpha(tiny_backbone(), work / "alpha.safetensors")
        assert float(vit.tower.visual.conv1.alpha.weight.abs().max()) > 0
        before = tiny_backbone().model.visual.conv1.weight
        assert not torch.equal(vit.tower.visual.conv1.rgb.weight, before)
        assert "conv1_alpha.weight" in load_file(work / "alpha.safetensors")

    def test_refcocos_phrases_teach_too(self, tmp_path: Path) -> None:
        root, work = make_refcoco(tmp_path / "data"), tmp_path / "work"
        refs = root / "refcocog" / "refs(umd).p"
        refs.rename(refs.with_suffix(".old"))
        content = make_refcoco(tmp_path / "plain", packed=False)
        rows = json.loads((content / "refcocog" / "refs(umd).json").read_text())
        for row in rows:
            row["split"] = "train"
        (root / "refcocog" / "refs(umd).json").write_text(json.dumps(rows))
        report = self.train(root, work, "alpha_clip_vitb16_refcoco")
        assert report["iterations"] == 2 and (work / "alpha.safetensors").is_file()

    def test_the_export_refuses_other_methods(self) -> None:
        class Runner:
            model = type("M", (), {"method": object()})()

        with pytest.raises(InputError, match="object has no alpha channel to export"):
            ExportAlphaHook().after_train(Runner())  # type: ignore[arg-type]
