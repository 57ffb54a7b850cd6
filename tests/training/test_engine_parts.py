"""Optimiser groups, batches of like length, export: what the training configs are made of."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.optim import AdamW

from dense.backbones import load
from dense.backbones.export import save_checkpoint
from dense.engine.export_hook import ExportHook, model_description
from dense.engine.optim import LearnableParameters
from dense.engine.text_stage import LengthBatches
from dense.errors import InputError
from dense.training.student import build_student
from tests.training.made import SHAPE

CFG = {
    "type": OptimWrapper,
    "optimizer": {"type": AdamW, "lr": 0.1, "weight_decay": 0.5},
    "clip_grad": {"max_norm": 1.0},
}


def test_each_tensor_once_and_matrices_decay() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 3), "frozen": nn.Linear(2, 2)})
    model["again"] = model["a"]
    model["frozen"].requires_grad_(False)
    groups = LearnableParameters(CFG)(model).optimizer.param_groups
    sizes = {(g["weight_decay"], g["lr"]): [tuple(p.shape) for p in g["params"]] for g in groups}
    assert sizes == {(0.0, 0.1): [(3,)], (0.5, 0.1): [(3, 2)]}


def test_rates_by_name() -> None:
    model = nn.ModuleDict({"table": nn.Embedding(4, 2), "rest": nn.Linear(2, 2, bias=False)})
    groups = LearnableParameters(CFG, {"rates": {"table": 0.25}})(model).optimizer.param_groups
    assert sorted(group["lr"] for group in groups) == [0.025, 0.1]
    with pytest.raises(InputError, match="no parameter that learns has 'tabel'"):
        LearnableParameters(CFG, {"rates": {"tabel": 0.25}})(model)
    with pytest.raises(InputError, match="nothing to train"):
        LearnableParameters(CFG)(model.requires_grad_(False))


def test_batches_hold_texts_of_like_length() -> None:
    lengths = [1, 9] * 20
    sampler = LengthBatches(lengths, 4, parts=1, seed=2)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 10
    assert sorted(i for batch in batches for i in batch) == list(range(40))
    assert all(len({lengths[i] for i in batch}) == 1 for batch in batches)
    assert list(sampler) == batches
    sampler.set_epoch(1)
    assert list(sampler) != batches
    assert len(list(LengthBatches([1, 2], 8))) == 1


def test_export_needs_an_architecture() -> None:
    with pytest.raises(InputError, match="shape or the name"):
        ExportHook()
    assert model_description("ViT-B-32")[0]["embed_dim"] == 512
    with pytest.raises(InputError, match="no such checkpoint"):
        model_description("nowhere.safetensors")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    state = build_student(SHAPE).model.state_dict()
    save_checkpoint(tmp_path / "a.safetensors", state, SHAPE.model_cfg(), notes={"k": "v"})
    return tmp_path / "a.safetensors"


def pack(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    tool = Path(__file__).parents[2] / "tools" / "export_checkpoint.py"
    monkeypatch.setattr(sys, "argv", [str(tool), *map(str, words)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(tool), run_name="__main__")
    return int(end.value.code or 0)


def test_packing_and_sharing(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, other = (checkpoint.with_name(f"{name}.safetensors") for name in ("base", "other"))
    assert pack(monkeypatch, checkpoint, base) == 0
    assert pack(monkeypatch, checkpoint, other, "--base", base, "--note", "licence=x") == 0
    assert base.stat().st_size < 0.33 * checkpoint.stat().st_size
    assert other.stat().st_size < 0.1 * base.stat().st_size
    close = {"atol": 0.03, "rtol": 0.0}
    expected = load(str(checkpoint)).encode_text(["a cat"])
    for path in (base, other):
        torch.testing.assert_close(load(str(path)).encode_text(["a cat"]), expected, **close)
    assert model_description(str(other))[0] == SHAPE.model_cfg()


def test_packing_refuses(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = checkpoint.with_name("b.safetensors")
    for words, message in (
        ((checkpoint, out, "--plain", "--base", checkpoint), "leave --plain out"),
        ((checkpoint, out.parent / "deep" / "b.safetensors", "--base", checkpoint), "the folder"),
        ((checkpoint, out, "--note", "x"), "expected KEY=VALUE"),
        ((out.with_name("gone.pt"), out), "no such checkpoint"),
    ):
        assert pack(monkeypatch, *words) == 2
        assert message in capsys.readouterr().err
