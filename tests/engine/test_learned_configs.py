"""Trainings of anomaly methods run two iterations; their inspect configs run on what they write."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from dense.engine import factories
from dense.engine.build import build, load_config
from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.learned import ExportLearnedHook
from dense.engine.run import test_config, train_config
from dense.errors import InputError
from dense.methods.anomaly.adaclip import build as adaclip
from dense.methods.catalog import find_method
from tests.datasets.made import make_category
from tests.helpers import tiny_backbone

CONFIGS = Path(__file__).parents[2] / "configs"
BIG = {
    "april_gan": "april_gan_vitl14_336",
    "clip_ad": "clip_ad_vitb16plus240",
    "anomalyclip": "anomalyclip_vitl14_336",
    "adaclip": "adaclip_vitl14_336",
}
METHODS = tuple(BIG)


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())


def train(name: str, work: Path, iterations: int = 2, **more: object) -> dict[str, object]:
    options: dict[str, object] = {
        "train_cfg.max_iters": iterations,
        "default_hooks.checkpoint.interval": 2,
        "default_hooks.logger.interval": 1,
        "train_dataloader.batch_size": 2,
        "model.method.inspector.settings.input_size": 32,
    }
    resume, root = bool(more.pop("resume", False)), more.pop("root", None)
    return train_config(
        CONFIGS / "train" / f"{name}.py",
        data_root=root,  # type: ignore[arg-type]
        options={**options, **more},
        work_dir=work,
        resume=resume,
    )


@pytest.mark.parametrize("method", METHODS)
def test_drawn_defects_train_every_method(method: str, tmp_path: Path) -> None:
    report = train(f"{method}_embedded", tmp_path)
    assert report["iterations"] == 2
    log = next(tmp_path.glob("*/vis_data/scalars.json")).read_text()
    rows = [json.loads(line) for line in log.splitlines()]
    assert all(math.isfinite(row["loss_focal"]) and row["loss_dice"] > 0 for row in rows)
    state = state_dict_of(read_run_checkpoint(str(report["checkpoint"])))
    assert all(key.startswith("method.learned.") for key in state)  # no backbone in checkpoints
    with safe_open(tmp_path / "learned.safetensors", framework="pt") as file:
        notes = file.metadata()
    assert notes["fingerprint"] == tiny_backbone().fingerprint
    assert (notes["trained_on"], notes["iterations"]) == ("drawn defects", "2")


@pytest.mark.parametrize("method", METHODS)
def test_train_on_a_inspect_b(method: str, tmp_path: Path) -> None:
    a = make_category(tmp_path / "a" / "nut").parent
    b = make_category(tmp_path / "b" / "metal_bolt", train=4, good=1, bad=1).parent
    train(BIG[method], tmp_path / "work", root=a, **{"train_dataloader.num_workers": 0})
    weights = tmp_path / "work" / "learned.safetensors"
    for path in sorted((CONFIGS / "inspect").glob(f"{method}_*.py")):
        cfg = load_config(path, {"model.method.weights": str(weights)}, data_root=b)
        sample = build(cfg.test_dataloader.dataset)[0]  # type: ignore[index]
        model = build(cfg.model)
        found = model([0], [sample], mode="predict")[0].result  # type: ignore[operator]
        assert np.isfinite(found.anomaly_map).all() and math.isfinite(found.score)
        assert model.method.describe()["learned"] == "learned.safetensors"  # type: ignore[attr-defined]


def test_resume_gives_the_same_parts(tmp_path: Path) -> None:
    a = make_category(tmp_path / "a" / "nut").parent
    options: dict[str, object] = {"train_dataloader.num_workers": 0, "root": a}
    train(BIG["april_gan"], tmp_path / "parts", 2, **options)
    train(BIG["april_gan"], tmp_path / "whole", 4, **options)
    shutil.copytree(tmp_path / "parts", tmp_path / "resumed")
    train(BIG["april_gan"], tmp_path / "resumed", 4, resume=True, **options)
    parts, whole, resumed = (
        state_dict_of(read_run_checkpoint((tmp_path / n / "last_checkpoint").read_text().strip()))
        for n in ("parts", "whole", "resumed")
    )
    for key, value in whole.items():
        torch.testing.assert_close(resumed[key], value, msg=key)
        assert not torch.equal(parts[key], value)


def test_support_of_the_runner_reaches_april_gan(tmp_path: Path) -> None:
    train("april_gan_embedded", tmp_path / "work")
    make_category(tmp_path / "data" / "nut")
    report = test_config(
        CONFIGS / "inspect" / "april_gan_embedded_folder.py",
        data_root=tmp_path / "data",
        work_dir=tmp_path / "test",
        shots=2,
        options={"model.method.weights": str(tmp_path / "work" / "learned.safetensors")},
    )
    protocol = report["protocol"]
    assert isinstance(protocol, dict)
    assert protocol["shots"] == [2] and "no test-set rescaling" in protocol["image_score"]


@pytest.mark.parametrize("name", ["april-gan", "anomalyclip", "adaclip"])
def test_without_learned_parts_the_way_to_them_is_told(name: str) -> None:
    stem = name.replace("-", "_")
    with pytest.raises(InputError, match=f"configs/train/{stem}_embedded.py"):
        find_method(name, "inspect").builder()(tiny_backbone(), "nut")
    assert (CONFIGS / "train" / f"{stem}_embedded.py").is_file()


def test_clip_ad_needs_no_learned_parts() -> None:
    inspector = find_method("clip-ad", "inspect").builder()(tiny_backbone(), "nut")
    assert inspector.describe()["method"] == "CLIP-AD SDP"


def test_export_wants_learned_parts(tmp_path: Path) -> None:
    class Model:
        method = adaclip

    class Runner:
        model, work_dir, iter = Model, tmp_path, 1

    with pytest.raises(InputError, match="no learned parts to export"):
        ExportLearnedHook(trained_on="nothing").after_train(Runner)  # type: ignore[arg-type]
