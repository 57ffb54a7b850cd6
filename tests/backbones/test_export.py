"""Checkpoints written by the package are read back, whole, packed, or on top of a base."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from dense.backbones import last_block, load
from dense.backbones.export import save_checkpoint
from dense.backbones.recommended import Recommended, read_recommended
from dense.errors import InputError
from tests.helpers import TINY, tiny_backbone


def features(backbone: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return backbone.vit(torch.linspace(-1, 1, 3 * 32 * 32).view(1, 3, 32, 32)).dense


def test_plain_file_gives_equal_features_and_is_ordinary(tmp_path: Path) -> None:
    original, path = tiny_backbone(), tmp_path / "model.safetensors"
    save_checkpoint(path, original.model.state_dict(), TINY)
    torch.testing.assert_close(features(load(str(path))), features(original), atol=0, rtol=0)
    assert set(load_file(path)) == {k for k in original.model.state_dict() if k != "attn_mask"}


def test_packed_file_is_close_and_four_times_smaller(tmp_path: Path) -> None:
    original = tiny_backbone()
    whole, packed = tmp_path / "whole.safetensors", tmp_path / "packed.safetensors"
    save_checkpoint(whole, original.model.state_dict(), TINY)
    save_checkpoint(packed, original.model.state_dict(), TINY, packed=True)
    reference = features(original)
    error = (features(load(str(packed))) - reference).norm() / reference.norm()
    assert error < 0.02
    assert packed.stat().st_size < 0.35 * whole.stat().st_size


def test_a_file_on_top_of_a_base_holds_only_what_differs(tmp_path: Path) -> None:
    base, other = tiny_backbone(), tiny_backbone()
    with torch.no_grad():
        other.model.visual.proj.mul_(-1)
    below, above = tmp_path / "base.safetensors", tmp_path / "above.safetensors"
    save_checkpoint(below, base.model.state_dict(), TINY, packed=True)
    save_checkpoint(above, other.model.state_dict(), TINY, packed=True, base=below)
    assert set(load_file(above)) == {"visual.proj"}
    torch.testing.assert_close(features(load(str(above))), -features(load(str(below))))


def test_a_missing_base_is_named(tmp_path: Path) -> None:
    base = tmp_path / "base.safetensors"
    above = tmp_path / "above.safetensors"
    state = tiny_backbone().model.state_dict()
    save_checkpoint(base, state, TINY, packed=True)
    save_checkpoint(above, state, TINY, packed=True, base=base)
    base.unlink()
    with pytest.raises(InputError, match="base\\.safetensors"):
        load(str(above))


def test_preprocessing_and_recommended_settings_travel(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    advice = {"attention": "qq+kk", "residual": False, "short_side": 336, "memory_layers": [1, 2]}
    save_checkpoint(
        path,
        tiny_backbone().model.state_dict(),
        TINY,
        preprocess_cfg={"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bilinear"},
        notes={"recommended": json.dumps(advice)},
    )
    backbone = load(str(path))
    assert backbone.preprocess.mean == (0.5, 0.5, 0.5)
    assert backbone.preprocess.interpolation == "bilinear"
    assert backbone.recommended.block == last_block("qq+kk", residual=False)
    assert backbone.recommended.short_side == 336
    assert backbone.recommended.memory_layers == (1, 2)


def test_broken_advice_is_refused() -> None:
    assert read_recommended({}) == Recommended()
    with pytest.raises(InputError, match="recommended settings are broken"):
        read_recommended({"recommended": "{not json"})
    with pytest.raises(InputError, match="recommended settings are broken"):
        read_recommended({"recommended": '{"no_such_setting": 1}'})


def test_other_suffixes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"written as \.safetensors"):
        save_checkpoint(tmp_path / "model.pt", {}, TINY)
