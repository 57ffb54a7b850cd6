"""Class token and text features equal open_clip's own, on formula-filled weights."""

import gc

import pytest
import torch
from torch import nn

from dense.backbones.text import encode_tokens
from dense.backbones.vit import DenseViT
from tests.backbones.builders import (
    build,
    build_large,
    images,
    named_config,
    tiny_config,
    tiny_timm_config,
    tokens,
)

LAYER_SCALE = {
    "embed_dim": 384,
    "vision_cfg": {
        "layers": 12,
        "width": 384,
        "head_width": 64,
        "patch_size": 14,
        "image_size": 224,
        "no_ln_pre": True,
        "ls_init_value": 1e-5,
        "norm_kwargs": {"eps": 1e-6},
    },
    "text_cfg": {
        "context_length": 32,
        "vocab_size": 1000,
        "width": 256,
        "heads": 4,
        "layers": 6,
    },
}

FULL = {
    "ViT-B-16": lambda: named_config("ViT-B-16"),
    "ViT-B-16-plus-240": lambda: named_config("ViT-B-16-plus-240"),
    "layer-scale": lambda: LAYER_SCALE,
    "ViT-B-16-SigLIP": lambda: named_config("ViT-B-16-SigLIP"),
}
VARIANTS = {
    "class token": tiny_config(),
    "quick gelu": {**tiny_config(), "quick_gelu": True},
    "average pool": tiny_config(pool_type="avg"),
    "norm after average pool": tiny_config(pool_type="avg", final_ln_after_pool=True),
    "norm after class token": tiny_config(pool_type="tok", final_ln_after_pool=True),
    "fixed positions": tiny_config(pos_embed_type="sin_cos_2d"),
    "custom blocks": tiny_config(
        block_type="custom", qk_norm=True, scale_attn_inner=True, scale_attn=True, scale_fc=True
    ),
    "siglip-like": tiny_timm_config(),
    "timm with class token": tiny_timm_config("test_vit", "token"),
    "timm with register and average pool": tiny_timm_config("test_vit2", "avg"),
}


def assert_equal(ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """At most 1e-5 apart, on values of order one, so that the bound means something."""
    scale = theirs.abs().max()
    assert 0.5 < scale < 20, f"the filled weights give outputs of scale {scale}"
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def check(model: nn.Module) -> None:
    vit = DenseViT(model.visual)
    picture = images(*vit.image_size, batch=1)
    text = getattr(model, "text", model)
    words = tokens(text.context_length, text.vocab_size, (5, 9, text.context_length - 1))
    with torch.inference_mode():
        expected = model.encode_image(picture)
        assert_equal(vit(picture).class_token, expected)
        if vit.tower.width < 128:
            assert_equal(vit.encode_image(picture), expected)
        assert_equal(encode_tokens(model, words), model.encode_text(words))


@pytest.mark.parametrize("name", FULL)
def test_full_size_towers(name: str) -> None:
    check(build_large(FULL[name]()))
    gc.collect()


@pytest.mark.slow
def test_vit_l_14_336() -> None:
    check(build_large(named_config("ViT-L-14-336")))
    gc.collect()


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_on_tiny_towers(name: str) -> None:
    check(build(VARIANTS[name]))
