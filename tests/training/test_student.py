"""The student cut in two equals the whole tower; what is frozen stays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, last_block
from dense.errors import InputError
from dense.training.student import (
    StudentShape,
    build_student,
    check_precision,
    keep_patches,
    run_prefix,
    run_suffix,
    train_only,
    window_tokens,
)
from tests.helpers import tiny_backbone
from tests.training.made import SHAPE


@pytest.fixture(scope="module")
def backbone() -> CLIPBackbone:
    return tiny_backbone()


IMAGES = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("start", [0, 1, 2, 3])
def test_halves_make_the_whole(backbone: CLIPBackbone, start: int) -> None:
    whole = backbone.vit(IMAGES)
    out = run_suffix(backbone.vit, run_prefix(backbone.vit, IMAGES, start), start)
    close = {"atol": 1e-5, "rtol": 1e-4}
    torch.testing.assert_close(out.class_token, F.normalize(whole.class_token, dim=-1), **close)
    dense = F.normalize(whole.dense.flatten(2).transpose(1, 2), dim=-1)
    torch.testing.assert_close(out.patches, dense, **close)


def test_value_path_is_maskclip(backbone: CLIPBackbone) -> None:
    dense = (
        backbone.vit(IMAGES, last_block("value", residual=False, feed_forward=False))
        .dense.flatten(2)
        .transpose(1, 2)
    )
    out = run_suffix(backbone.vit, run_prefix(backbone.vit, IMAGES, 1), 1, values=True)
    assert out.values is not None
    torch.testing.assert_close(out.values, F.normalize(dense, dim=-1), atol=1e-5, rtol=1e-4)
    with pytest.raises(InputError, match="value path"):
        run_suffix(backbone.vit, run_prefix(backbone.vit, IMAGES, 3), 3, values=True)


def test_windows_are_the_towers_windows(backbone: CLIPBackbone) -> None:
    windows = torch.tensor([[0, 1, 4, 5], [10, 11, 14, 15]])
    expected = backbone.vit.encode_windows(IMAGES, [windows])[0]
    tokens = window_tokens(backbone.vit, IMAGES, windows.expand(2, -1, -1), 2)
    out = run_suffix(backbone.vit, tokens.flatten(0, 1), 2).class_token
    expected = F.normalize(expected, dim=-1).flatten(0, 1)
    torch.testing.assert_close(out, expected, atol=1e-5, rtol=1e-4)


def test_kept_patches(backbone: CLIPBackbone) -> None:
    tokens = torch.arange(10.0).view(1, 5, 2)
    kept = keep_patches(tokens, torch.tensor([[2, 0]]), 1)
    assert kept[0, :, 0].tolist() == [0.0, 6.0, 2.0]


def test_checkpointing_changes_nothing_but_memory(backbone: CLIPBackbone) -> None:
    tokens = run_prefix(backbone.vit, IMAGES, 1).detach().requires_grad_()
    gradients = []
    for on in (False, True):
        backbone.vit.grad_checkpointing = on
        value = run_suffix(backbone.vit, tokens, 1).patches[..., 0].sum()
        gradients.append(torch.autograd.grad(value, tokens)[0])
    backbone.vit.grad_checkpointing = False
    torch.testing.assert_close(gradients[0], gradients[1])


def test_what_learns() -> None:
    backbone = build_student(SHAPE)
    train_only(backbone, start=2)
    learns = {n for n, p in backbone.model.named_parameters() if p.requires_grad}
    assert all("resblocks.2" in n or "ln_post" in n or n == "visual.proj" for n in learns)
    assert "visual.proj" in learns and "visual.ln_post.weight" in learns
    train_only(backbone, start=0)
    names = {n for n, p in backbone.model.named_parameters() if p.requires_grad}
    assert "visual.conv1.weight" in names and "token_embedding.weight" not in names
    train_only(backbone, start=None, text=True)
    names = {n for n, p in backbone.model.named_parameters() if p.requires_grad}
    assert "token_embedding.weight" in names and not any(n.startswith("visual") for n in names)
    assert "logit_scale" not in names
    with pytest.raises(InputError, match="0 to 3, got 4"):
        train_only(backbone, start=4)


def test_vision_tower_is_taken_over() -> None:
    source = build_student(replace(SHAPE, layers=4, image_size=48), seed=5)
    vision = source.model.visual.state_dict()
    student = build_student(SHAPE, vision=vision)
    own = student.model.visual.state_dict()
    name = "transformer.resblocks.2.mlp.c_fc.weight"
    assert torch.equal(own[name], vision[name])
    assert own["positional_embedding"].shape == (17, 64)
    assert torch.equal(own["positional_embedding"][0], vision["positional_embedding"][0])
    same = build_student(replace(SHAPE, image_size=48), vision=vision)
    images = torch.randn(1, 3, 48, 48)
    torch.testing.assert_close(
        run_prefix(same.vit, images, 2), run_prefix(source.vit, images, 2), atol=1e-5, rtol=1e-4
    )
    with pytest.raises(InputError, match=r"does not fit: 0 tensors missing .*of another shape"):
        build_student(replace(SHAPE, width=128), vision=vision)
    with pytest.raises(InputError, match="tensors missing"):
        build_student(replace(SHAPE, layers=5), vision=vision)


def test_default_shape_is_small() -> None:
    config = StudentShape(layers=11).model_cfg()
    assert config["vision_cfg"]["width"] == 384 and config["vision_cfg"]["layers"] == 11


def test_precision_is_known() -> None:
    assert check_precision("bf16") == "bf16"
    with pytest.raises(InputError, match="fp32 or bf16"):
        check_precision("fp16")
