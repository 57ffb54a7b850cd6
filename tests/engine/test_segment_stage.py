"""Trainings of segmentation methods run two iterations; what they write is used."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from safetensors import safe_open

from dense.engine import factories
from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.run import test_config, train_config
from dense.providers import sam, vit
from tests.datasets.made import make_segmentation, write
from tests.engine.test_configs import FAST, make_benchmark
from tests.helpers import photo, tiny_backbone
from tests.providers.tiny import tiny_network, tiny_sam

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(factories, "load", lambda name, **options: tiny_backbone())
    monkeypatch.setattr(vit, "load_vit", lambda name, weights: tiny_network())
    monkeypatch.setattr(sam, "load_sam", lambda name, weights: tiny_sam())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(5):
        write(tmp_path / "photos" / f"{number}.jpg", photo(40, 48, seed=number))
    return tmp_path / "photos"


def train(name: str, root: Path, work: Path, **more: object) -> dict[str, object]:
    options: dict[str, object] = {
        "train_cfg.max_iters": 2,
        "default_hooks.checkpoint.interval": 2,
        "default_hooks.logger.interval": 1,
        "train_dataloader.batch_size": 2,
        "train_dataloader.num_workers": 0,
        "train_dataloader.augment.size": (32, 32),
        **more,
    }
    path = CONFIGS / "train" / f"{name}.py"
    return train_config(path, data_root=root, options=options, work_dir=work)


def losses(work: Path) -> list[dict[str, float]]:
    log = next(work.glob("*/vis_data/scalars.json")).read_text()
    return [json.loads(line) for line in log.splitlines()]


@pytest.mark.parametrize("name", ["clip_dinoiser_embedded", "clip_dinoiser_vitb16"])
def test_clip_dinoiser_learns_from_photos_and_segments(
    name: str, photos: Path, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    report = train(name, photos, work, **{"model.method.side": 32})
    rows = losses(work)
    assert len(rows) == 2
    for row in rows:
        assert math.isfinite(row["loss_correlation"]) and row["loss_foreground"] > 0
    state = state_dict_of(read_run_checkpoint(str(report["checkpoint"])))
    assert {key.rpartition(".")[0] for key in state} == {
        "method.learned.correlation",
        "method.learned.foreground",
    }
    weights = work / "learned.safetensors"
    with safe_open(weights, framework="pt") as file:
        notes = file.metadata()
    assert (notes["method"], notes["iterations"]) == ("clip-dinoiser", "2")
    vitb16 = name.endswith("vitb16")
    config, root = (
        ("clip_dinoiser_vitb16_voc21", make_benchmark(tmp_path / "voc", "voc21"))
        if vitb16
        else ("clip_dinoiser_embedded_folder", make_segmentation(tmp_path / "folder"))
    )
    tested = test_config(
        CONFIGS / "segment" / f"{config}.py",
        data_root=root,
        work_dir=tmp_path / "test",
        options={**FAST, "model.method.settings.weights": str(weights)},
    )
    protocol, overall = tested["protocol"], tested["overall"]
    assert isinstance(protocol, dict) and isinstance(overall, dict)
    assert (protocol["method"], protocol["learned"]) == ("clip-dinoiser", "learned.safetensors")
    assert protocol["protocol"].split(",")[0] == ("tcl" if vitb16 else "whole")
    assert 0 <= overall["miou"] <= 100


HEADS = ("linear_head", "uper_head", "mask_text_head", "maskclip_plus")


@pytest.mark.parametrize("name", HEADS)
def test_heads_learn_and_segment_own_pictures(name: str, tmp_path: Path) -> None:
    root = make_segmentation(tmp_path / "data", number=5)
    work = tmp_path / "work"
    more: dict[str, object] = {
        "model.method.side": 32,
        "model.method.channels": 8,
        "model.method.templates": "plain",
    }
    if name == "maskclip_plus":
        more["model.method.guided"] = 1  # the second step learns from its own predictions
    report = train(f"{name}_embedded", root, work, **more)
    rows = losses(work)
    assert len(rows) == 2 and all(row["loss_ce"] > 0 for row in rows)
    assert all(("loss_mask_text" in row) == (name == "mask_text_head") for row in rows)
    state = state_dict_of(read_run_checkpoint(str(report["checkpoint"])))
    own = {key for key in state if not key.startswith("method.learned.")}
    assert own == ({"method.steps"} if name == "maskclip_plus" else set())
    tested = test_config(
        CONFIGS / "segment" / f"{name}_embedded_folder.py",
        data_root=root,
        work_dir=tmp_path / "test",
        options={**FAST, "model.method.settings.weights": str(work / "learned.safetensors")},
    )
    protocol, overall = tested["protocol"], tested["overall"]
    assert isinstance(protocol, dict) and isinstance(overall, dict)
    assert protocol["method"] == name.replace("_", "-")
    assert (protocol["learned"], protocol["side"]) == ("learned.safetensors", 32)
    assert 0 <= overall["miou"] <= 100


@pytest.mark.parametrize("name", HEADS)
def test_heads_of_the_benchmark(name: str, tmp_path: Path) -> None:
    root = make_benchmark(tmp_path / "voc", "voc21")
    listed = root / "ImageSets" / "Segmentation"
    (listed / "train.txt").write_text((listed / "val.txt").read_text() * 2)
    more: dict[str, object] = {
        "model.method.side": 32,
        "model.method.channels": 8,
        "model.method.templates": "plain",
        "train_cfg.max_iters": 1,
        "default_hooks.checkpoint.interval": 1,
    }
    train(f"{name}_vitb16_voc21", root, tmp_path / "work", **more)
    weights = tmp_path / "work" / "learned.safetensors"
    tested = test_config(
        CONFIGS / "segment" / f"{name}_vitb16_voc21.py",
        data_root=root,
        work_dir=tmp_path / "test",
        options={**FAST, "model.method.settings.weights": str(weights)},
    )
    assert tested["protocol"]["classes"] == 21  # type: ignore[index]
