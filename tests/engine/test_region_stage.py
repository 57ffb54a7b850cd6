"""CLIPSelf and its line in the Runner: every config, resume, export, the guard, two processes."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import MomentumAnnealingEMA
from PIL import Image

from dense.backbones import load
from dense.backbones.export import save_checkpoint
from dense.datasets.photos import PhotoFolder
from dense.engine.build import build, load_config
from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.export_hook import ExportHook
from dense.engine.guard import AccuracyGuardHook, guard_pictures
from dense.engine.region_stage import concept_words, region_loader, region_student
from dense.engine.run import train_config
from dense.errors import InputError
from dense.structures import Sample
from dense.training.region_settings import RegionTerms
from dense.training.region_views import RegionRule
from tests.helpers import TINY, photo, tiny_backbone
from tests.training.made import make_captions

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "train"
EMBEDDED = sorted(
    path.stem
    for kind in ("*clipself*_embedded.py", "declip_*.py", "regionclip_*.py")
    for path in CONFIGS.glob(kind)
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("regions")
    make_captions(root / "data")
    boxes = {
        "images": [{"id": 1, "file_name": "images/0.png"}],
        "categories": [{"id": 1, "name": "object"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [4, 4, 30, 30]}],
    }
    (root / "data" / "proposals.json").write_text(json.dumps(boxes))
    backbone = tiny_backbone()
    save_checkpoint(root / "tiny.safetensors", backbone.model.state_dict(), TINY)
    guard = root / "guard"
    for number, name in enumerate(("cat", "dog", "cat", "dog")):
        (guard / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo(40, 40, number)).save(guard / name / f"{number}.png")
    return root


def run(place: Path, name: str, work: str, iterations: int = 2, **more: object) -> dict:
    tiny = str(place / "tiny.safetensors")
    guard = {
        "type": AccuracyGuardHook,
        "pictures": {"type": guard_pictures, "source": str(place / "guard")},
        "every": 2,
        **more.pop("guard", {}),  # type: ignore[dict-item]
    }
    options: dict[str, object] = {
        "train_cfg.max_iters": iterations,
        "default_hooks.checkpoint.interval": 2,
        "default_hooks.logger.interval": 1,
        "train_dataloader.batch_size": 2,
        "train_dataloader.num_workers": 0,
        "train_dataloader.rule.side": 32,
        "train_dataloader.rule.crop": 32,
        "model.method.backbone.name": tiny,
        "model.method.backbone.pretrained": None,
        "custom_hooks": [guard, {"type": ExportHook, "model": tiny}],
    }
    if name.startswith("regionclip"):
        options["model.method.concepts.least"] = 1
    return train_config(
        CONFIGS / f"{name}.py",
        data_root=place / "data",
        options={**options, **more.pop("options", {})},  # type: ignore[dict-item]
        work_dir=place / work,
        **more,  # type: ignore[arg-type]
    )


def log_of(work: Path) -> str:
    return "".join(path.read_text() for path in sorted(work.glob("*/*.log")))


@pytest.mark.parametrize("name", EMBEDDED)
def test_every_config_runs_two_iterations_and_exports(name: str, place: Path) -> None:
    assert run(place, name, name)["iterations"] == 2
    scalars = next((place / name).glob("*/vis_data/scalars.json")).read_text()
    rows = [json.loads(line) for line in scalars.splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert all(math.isfinite(row["loss"]) for row in rows)
    before = load(str(place / "tiny.safetensors"))
    after = load(str(place / name / "model.safetensors"))
    assert not torch.equal(before.model.visual.conv1.weight, after.model.visual.conv1.weight)
    torch.testing.assert_close(before.encode_text(["a cat"]), after.encode_text(["a cat"]))


def test_the_coco_config_builds_and_runs(place: Path, tmp_path: Path) -> None:
    shutil.copytree(place / "data" / "images", tmp_path / "train2017")
    tiny = str(place / "tiny.safetensors")
    options = {
        "train_cfg.max_iters": 2,
        "train_dataloader.num_workers": 0,
        "train_dataloader.rule.side": 32,
        "train_dataloader.rule.crop": 32,
        "model.method.backbone.name": tiny,
        "model.method.backbone.pretrained": None,
        "custom_hooks": [{"type": ExportHook, "model": tiny}],
    }
    path = CONFIGS / "clipself_vitb16_coco.py"
    report = train_config(path, data_root=tmp_path, options=options, work_dir=tmp_path / "work")
    assert report["iterations"] == 2
    hooks = load_config(path).custom_hooks
    assert hooks[0].pictures.source == "data/guard" and hooks[0].every == 2000


def test_resume_gives_the_same_weights(place: Path) -> None:
    run(place, "rsc_clipself_embedded", "parts")
    run(place, "rsc_clipself_embedded", "parts", 4, resume=True)
    run(place, "rsc_clipself_embedded", "whole", 4)
    whole, parts = (
        state_dict_of(read_run_checkpoint((place / n / "last_checkpoint").read_text().strip()))
        for n in ("whole", "parts")
    )
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, msg=key)


def test_two_processes_train_guard_and_export(place: Path) -> None:
    tiny, work = place / "tiny.safetensors", place / "two"
    options = [
        "train_cfg.max_iters=2",
        "train_dataloader.batch_size=2",
        "train_dataloader.rule.side=32",
        "train_dataloader.rule.crop=32",
        f"model.method.backbone.name={tiny}",
        f"custom_hooks.0.pictures.source={place / 'guard'}",
        f"custom_hooks.1.model={tiny}",
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(ROOT / "tools" / "train.py")]
    command += [str(CONFIGS / "clipself_embedded.py"), "--data-root", str(place / "data")]
    done = subprocess.run(
        [*command, "--work-dir", str(work), "--cfg-options", *options],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "on 4 pictures of 2 classes" in log_of(work)
    assert load(str(work / "model.safetensors")).joint_dim == 16


def test_guard_lowers_the_share_until_the_bound_holds(place: Path, monkeypatch) -> None:
    """With accuracy 50 − 10 α the bound of 2 points holds from α = .2 on."""
    monkeypatch.setattr(
        AccuracyGuardHook, "_accuracy", lambda self, method, share: 50.0 - 10 * share
    )
    run(place, "clipself_embedded", "lowered", guard={"bound": 2.0})
    text = log_of(place / "lowered")
    assert "teacher 50.00 % on 4 pictures of 2 classes; bound 2 points" in text
    assert "α lowered from 1.000 to 0.200" in text
    state = state_dict_of(
        read_run_checkpoint((place / "lowered" / "last_checkpoint").read_text().strip())
    )
    assert state["method.share"].item() == pytest.approx(0.2)  # a resumed run keeps it


def test_guard_holds_what_is_exported(place: Path, monkeypatch) -> None:
    """A fifth of the share moves the exported, averaged weights a fifth of the way."""
    monkeypatch.setattr(
        AccuracyGuardHook, "_accuracy", lambda self, method, share: 50.0 - 10 * share
    )
    exported = {}
    for name, bound in (("all", 10.0), ("fifth", 2.0)):
        guard = {
            "type": AccuracyGuardHook,
            "pictures": {"type": guard_pictures, "source": str(place / "guard")},
            "every": 0,
            "bound": bound,
        }
        export = {"type": ExportHook, "model": str(place / "tiny.safetensors")}
        mean = {"type": EMAHook, "ema_type": MomentumAnnealingEMA, "momentum": 0.01, "gamma": 10}
        options = {"custom_hooks": [guard, export, mean], "optim_wrapper.optimizer.lr": 1e-2}
        run(place, "clipself_embedded", name, 4, options=options)
        exported[name] = load(str(place / name / "model.safetensors")).model.state_dict()
    teacher = tiny_backbone().model.state_dict()
    moved = {k: exported["all"][k] - v for k, v in teacher.items() if k.startswith("visual")}
    assert max(float(step.abs().max()) for step in moved.values()) > 1e-4
    for key, step in moved.items():
        torch.testing.assert_close(
            exported["fifth"][key] - teacher[key], 0.2 * step, atol=1e-6, rtol=1e-3
        )


def test_guard_can_stop(place: Path, monkeypatch) -> None:
    monkeypatch.setattr(
        AccuracyGuardHook, "_accuracy", lambda self, method, share: 50.0 - 10 * share
    )
    report = run(place, "clipself_embedded", "stopped", 6, guard={"bound": 2.0, "action": "stop"})
    assert report["iterations"] == 2 and "training stops at iteration 2" in log_of(
        place / "stopped"
    )


def test_guard_measures_zero_shot_accuracy(place: Path) -> None:
    from dense.evaluation.classification import classify_pictures, read_labelled

    hook = AccuracyGuardHook(guard_pictures(place / "guard"), batch_size=3)
    method = region_student(tiny_backbone(), RegionTerms(content=1.0))

    class Runner:
        model = type("M", (), {"method": method})
        hooks = ()
        logger = __import__("logging").getLogger("guard")

    hook.before_train(Runner)  # type: ignore[arg-type]
    wanted = classify_pictures(tiny_backbone(), read_labelled(place / "guard"), templates="short")
    assert hook.before == pytest.approx(wanted["top1"])


def test_guard_reads_validation_pictures_or_is_off(place: Path, tmp_path: Path) -> None:
    assert guard_pictures(place / "data") is None  # its one validation picture has tags
    found = guard_pictures(place / "guard")
    assert found is not None and found.class_names == ("cat", "dog")
    Image.fromarray(photo()).save(tmp_path / "a.png")
    assert guard_pictures(tmp_path) is None
    with pytest.raises(InputError, match="the guard's photos"):
        guard_pictures(tmp_path / "gone")
    run(place, "clipself_embedded", "off", guard={"pictures": None})
    assert "guard: off" in log_of(place / "off")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"action": "pray"}, "'lower' or 'stop'"), ({"bound": -1.0}, "≥ 0"), ({"every": -1}, "≥ 0")],
)
def test_guard_refuses(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AccuracyGuardHook(None, **arguments)


def test_photo_folder(place: Path, tmp_path: Path) -> None:
    listed = PhotoFolder(place / "data", proposals="proposals.json")
    assert len(listed) == 11 and "sky" in listed.words  # the validation picture is left out
    np.testing.assert_allclose(listed[0].boxes, [[4, 4, 34, 34]])
    assert listed[1].boxes is None
    (tmp_path / "deep").mkdir()
    Image.fromarray(photo()).save(tmp_path / "deep" / "a.png")
    assert len(PhotoFolder(tmp_path)) == 1 and PhotoFolder(tmp_path).words == ()
    with pytest.raises(InputError, match="no pictures are left"):
        (tmp_path / "empty").mkdir()
        PhotoFolder(tmp_path / "empty")


def test_epochs_draw_other_regions_and_numbers_go_on() -> None:
    photos = [Sample(photo(40, 40, seed)) for seed in range(4)]
    loader = region_loader(photos, RegionRule(side=16, crop=8), batch_size=2)  # type: ignore[arg-type]
    first = [i for b in loader for i in b["index"]]  # type: ignore[call-overload]
    loader.sampler.set_epoch(1)  # type: ignore[attr-defined]
    second = [i for b in loader for i in b["index"]]  # type: ignore[call-overload]
    assert sorted(first) == [0, 1, 2, 3] and sorted(second) == [4, 5, 6, 7]


def test_region_student_refuses(place: Path) -> None:
    backbone = tiny_backbone()
    with pytest.raises(InputError, match="cannot train the last 9"):
        region_student(backbone, RegionTerms(content=1.0), learn=9)
    with pytest.raises(InputError, match=r"no captions\.jsonl"):
        region_student(backbone, RegionTerms(captions=1.0))
    with pytest.raises(InputError, match="no words are given"):
        region_student(backbone, RegionTerms(concepts=1.0))
    captions = build(
        load_config(CONFIGS / "regionclip_embedded.py", data_root=place / "data").captions
    )
    with pytest.raises(InputError, match="lower `least`"):
        concept_words(captions, least=99)  # type: ignore[arg-type]
