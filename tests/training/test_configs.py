"""Every training config runs two iterations on made-up pictures with tiny models."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from dense.backbones import load
from dense.engine import image_stage, students, text_stage
from dense.engine.checkpoint import read_run_checkpoint, state_dict_of
from dense.engine.run import train_config
from dense.errors import InputError
from dense.training import image_teacher, phrases, sentence_teacher, student, words
from dense.training.phrases import PhraseCounts
from dense.training.states import DefectPairs
from tests.training.made import SHAPE, make_captions, tiny_sentences, tiny_teacher

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
COUNTS = PhraseCounts(1, 1, 0, 0, 4, 2, 2)
NAMES = ["cat", "dog", "screw", "sky", "car"]


@pytest.fixture(scope="module")
def tiny() -> Iterator[None]:
    """Small teachers, a small student, few words."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentence_teacher, "minilm", tiny_sentences)
        patch.setattr(image_teacher, "efficientnet_lite", tiny_teacher)
        patch.setattr(student, "StudentShape", lambda layers=3: SHAPE)
        patch.setattr(phrases, "PhraseCounts", lambda: COUNTS)
        patch.setattr(students, "read_onnx_vit", lambda path: None)
        for module in (text_stage, image_stage):
            patch.setattr(module, "imagenet_names", lambda: NAMES)
        patch.setattr(text_stage, "wordnet_names", lambda: ["iron ore"])
        patch.setattr(words, "EVERYDAY", ("grass", "house", "tree"))
        patch.setattr(image_stage, "EVERYDAY", ("grass", "house", "tree"))
        patch.setattr(words, "INDUSTRIAL", ("gear",))
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    make_captions(root / "data")
    return root


def run(place: Path, name: str, work: str, iterations: int = 2, **more: object) -> dict:
    """Train a config at its smallest."""
    cache = str(place / "cache")
    options: dict[str, object] = {
        "train_cfg.max_iters": iterations,
        "default_hooks.checkpoint.interval": 2,
        "default_hooks.logger.interval": 1,
        "train_dataloader.batch_size": 3,
    }
    if name == "embedded_text":
        options |= {
            "model.method.targets.cache_dir": cache,
            "train_dataloader.targets.cache_dir": cache,
            "model.method.shallow": 0,
        }
    elif name.startswith("embedded"):
        options |= {
            "model.method.texts.cache_dir": cache,
            "train_dataloader.items.cache_dir": cache,
            "train_dataloader.items.side": 32,
            "train_dataloader.items.start": 2,
            "model.method.settings.start": 2,
        }
        before = "text" if name == "embedded_base" else "name"
        stage = "embedded_text" if name == "embedded_base" else "embedded_base"
        weights = str(place / stage / "model.safetensors")
        for owner in ("model.method.backbone", "train_dataloader.items.backbone"):
            options[f"{owner}.{before}"] = weights
    if name == "embedded":
        drawn = [{"type": DefectPairs, "count": 2, "side": side} for side in (32, 40)]
        options |= {"model.method.pairs": drawn, "train_dataloader.items.pairs": drawn}
        options["train_dataloader.items.every"] = 1
        options["model.method.settings.mix"] = 0.0  # all losses in every step
    options |= {key.replace("__", "."): value for key, value in more.items()}
    resume = bool(options.pop("resume", False))
    return train_config(
        CONFIGS / f"{name}.py",
        data_root=place / "data",
        options=options,
        work_dir=place / work,
        resume=resume,
    )


@pytest.fixture(scope="module")
def chain(tiny: None, place: Path) -> Path:
    for name in ("embedded_text", "embedded_base", "embedded"):
        report = run(place, name, name)
        assert report["iterations"] == 2
    return place


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return state_dict_of(read_run_checkpoint((folder / "last_checkpoint").read_text().strip()))


def test_stages_build_on_each_other(chain: Path) -> None:
    text, base, final = (
        load(str(chain / name / "model.safetensors"))
        for name in ("embedded_text", "embedded_base", "embedded")
    )
    assert final.joint_dim == SHAPE.joint_dim
    torch.testing.assert_close(text.encode_text(["a cat"]), base.encode_text(["a cat"]))
    torch.testing.assert_close(base.encode_text(["a cat"]), final.encode_text(["a cat"]))
    first, last = (
        [m.model.visual.transformer.resblocks[i].mlp.c_fc.weight for m in (text, base, final)]
        for i in (0, 2)
    )
    assert torch.equal(first[1], first[2])
    assert not torch.equal(last[1], last[2])


def test_logged_losses_name_every_term(chain: Path) -> None:
    log = next((chain / "embedded").glob("*/vis_data/scalars.json")).read_text()
    rows = [json.loads(line) for line in log.splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    for name in (
        "teacher",
        "classes",
        "mimicry",
        "regression",
        "dense",
        "dense_regression",
        "dense_regression_values",
        "words",
        "words_values",
        "state_patch",
        "state_window_5",
    ):
        # a batch without class names has no loss of classes
        found = [row[f"loss_{name}"] for row in rows if f"loss_{name}" in row]
        assert found and all(map(math.isfinite, found)), name


def test_resume_gives_the_same_weights(chain: Path) -> None:
    run(chain, "embedded_base", "whole", 4)
    shutil.copytree(chain / "embedded_base", chain / "parts")  # stopped after two iterations
    run(chain, "embedded_base", "parts", 4, resume=True)
    whole, parts = weights_of(chain / "whole"), weights_of(chain / "parts")
    assert whole.keys() == parts.keys()
    for key, value in whole.items():
        torch.testing.assert_close(parts[key], value, msg=key)
    assert int(whole["method.step"]) == 4


def test_adapt_from_class_folders(chain: Path, tmp_path: Path) -> None:
    from PIL import Image

    from tests.helpers import photo

    for name in ("metal_nut", "cat"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for number in range(2):
            Image.fromarray(photo(40, 40, number)).save(tmp_path / "data" / name / f"{number}.png")
    model = str(chain / "embedded_base" / "model.safetensors")
    report = train_config(
        CONFIGS / "adapt_folder.py",
        data_root=tmp_path / "data",
        options={
            "train_cfg.max_iters": 2,
            "train_dataloader.batch_size": 2,
            "model.method.backbone.name": model,
            "custom_hooks": [{"type": image_export(), "model": model}],
            "train_dataloader.items.augment.size": (32, 32),
        },
        work_dir=tmp_path / "work",
    )
    assert report["iterations"] == 2
    before, after = load(model), load(str(tmp_path / "work" / "model.safetensors"))
    assert not torch.equal(before.model.visual.proj, after.model.visual.proj)
    torch.testing.assert_close(before.encode_text(["a cat"]), after.encode_text(["a cat"]))


def test_gpu_config_trains_the_whole_tower(chain: Path) -> None:
    options = {
        "model.method.texts.cache_dir": str(chain / "cache"),
        "model.method.backbone.name": str(chain / "embedded_base" / "model.safetensors"),
        "model.method.settings.input_size": (32, 32),
        "model.method.pairs": [{"type": DefectPairs, "count": 2, "side": 32}],
        "train_dataloader.items.pairs": [{"type": DefectPairs, "count": 2, "side": 32}],
        "train_dataloader.items.grid": (4, 4),
        "train_dataloader.items.augment.size": (40, 40),
        "train_dataloader.batch_size": 3,
        "train_dataloader.num_workers": 0,
        "train_cfg.max_iters": 2,
    }
    work = chain / "gpu"
    train_config(
        CONFIGS / "embedded_gpu.py", data_root=chain / "data", options=options, work_dir=work
    )
    before, after = (load(str(chain / n / "model.safetensors")) for n in ("embedded_base", "gpu"))
    first = [m.model.visual.conv1.weight for m in (before, after)]
    assert not torch.equal(*first)


def image_export() -> type:
    from dense.engine.export_hook import ExportHook

    return ExportHook


def test_adaptation_refuses_too_many_blocks(chain: Path) -> None:
    backbone = load(str(chain / "embedded_base" / "model.safetensors"))
    with pytest.raises(InputError, match="cannot train the last 9"):
        image_stage.adaptation(backbone, None, image_stage.Terms(), learn=9)  # type: ignore[arg-type]


def test_text_towers_must_agree(chain: Path) -> None:
    backbone = load(str(chain / "embedded_base" / "model.safetensors"))
    other = student.build_student(replace(SHAPE, text_width=32))
    with pytest.raises(InputError, match="text towers differ"):
        students.copy_text_tower(backbone, other)
