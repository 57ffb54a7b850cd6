"""Laws of the dense forward: sizes, intermediates, gradients, precision, batch invariance."""

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import LastBlock, last_block
from dense.backbones.blocks import as_block
from dense.backbones.linear import linear, linear_gelu
from dense.backbones.towers import as_tower, resize_positions
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from tests.backbones.builders import build, build_siglip, images, tiny_config, tiny_vit


def test_shapes_of_any_aspect_ratio() -> None:
    _, vit = tiny_vit()
    features = vit(images(24, 56, batch=3), intermediates=(0, -1))
    assert features.grid == (3, 7)
    assert features.class_token.shape == (3, 16)
    assert features.patch_tokens.shape == (3, 21, 32)
    assert features.dense.shape == (3, 16, 3, 7)
    assert [tuple(x.shape) for x in features.intermediates] == [(3, 32, 3, 7)] * 2
    assert vit.num_blocks == 3


def test_dense_is_the_projected_patch_token() -> None:
    model, vit = tiny_vit()
    with torch.inference_mode():
        features = vit(images(32, 48))
        expected = model.visual.ln_post(features.patch_tokens) @ model.visual.proj
        torch.testing.assert_close(
            features.dense.flatten(2).transpose(1, 2), expected, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("vision", [{}, {"ls_init_value": 0.1}], ids=["plain", "layer scale"])
def test_intermediates_equal_open_clip(vision: dict[str, float]) -> None:
    model, vit = tiny_vit(**vision)
    batch = images(32, 32)
    with torch.inference_mode():
        theirs = model.visual.forward_intermediates(batch, indices=[0, 1, 2])
        ours = vit(batch, intermediates=(0, 1, 2)).intermediates
        backwards = vit(batch, intermediates=(-1, -3)).intermediates
    for got, expected in zip(ours, theirs["image_intermediates"], strict=True):
        assert expected.std() > 0.1
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
    assert torch.equal(backwards[0], ours[2])
    assert torch.equal(backwards[1], ours[0])


def test_non_square_input_equals_a_tower_built_for_it() -> None:
    model = build(tiny_config(image_size=(24, 56)))
    square = build(tiny_config(image_size=(32, 32)))
    state = model.state_dict()
    state["visual.positional_embedding"] = square.visual.positional_embedding
    square.load_state_dict(state)
    table = square.visual.positional_embedding.detach()
    moved = resize_positions(table[1:], (4, 4), (3, 7))
    with torch.no_grad():
        model.visual.positional_embedding.copy_(torch.cat([table[:1], moved]))
        batch = images(24, 56)
        torch.testing.assert_close(
            DenseViT(square.visual)(batch).class_token,
            model.encode_image(batch),
            atol=1e-5,
            rtol=0,
        )


def test_positions_resize_as_open_clip_does() -> None:
    from open_clip.model import resize_pos_embed

    small, large = build(tiny_config()), build(tiny_config(image_size=48))
    state = {"visual.positional_embedding": small.visual.positional_embedding.detach().clone()}
    resize_pos_embed(state, large)
    got = resize_positions(small.visual.positional_embedding.detach()[1:], (4, 4), (6, 6))
    torch.testing.assert_close(got, state["visual.positional_embedding"][1:], atol=1e-6, rtol=0)
    assert resize_positions(got, (6, 6), (6, 6)) is got


def test_equal_grids_keep_a_position_pattern_constant() -> None:
    table = torch.full((16, 4), 2.5)
    torch.testing.assert_close(resize_positions(table, (4, 4), (7, 3)), torch.full((21, 4), 2.5))


@pytest.mark.parametrize("name", ["plain", "value", "neighbourhood"])
def test_batch_size_changes_nothing(name: str) -> None:
    _, vit = tiny_vit()
    batch = images(32, 48, batch=3)
    with torch.inference_mode():
        together = vit(batch, last_block(name))
        for row in range(3):
            alone = vit(batch[row : row + 1], last_block(name))
            for field in ("class_token", "patch_tokens", "dense"):
                torch.testing.assert_close(
                    getattr(alone, field)[0], getattr(together, field)[row], atol=1e-5, rtol=0
                )


@pytest.mark.parametrize("checkpointing", [False, True])
def test_gradients_flow_and_equal_the_plain_result(checkpointing: bool) -> None:
    model, vit = tiny_vit()
    batch = images(32, 32)
    with torch.no_grad():
        plain = vit(batch, last_block("value"))
    vit.train()
    vit.grad_checkpointing = checkpointing
    features = vit(batch, last_block("value"))
    torch.testing.assert_close(features.dense.detach(), plain.dense, atol=1e-5, rtol=0)
    loss = features.dense.square().mean() + features.class_token.square().mean()
    loss.backward()
    for name, parameter in model.visual.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_gradient_of_the_class_token_equals_open_clip() -> None:
    model, vit = tiny_vit()
    batch = images(32, 32).requires_grad_()
    ours = torch.autograd.grad(vit(batch).class_token.square().sum(), batch)[0]
    theirs = torch.autograd.grad(model.encode_image(batch).square().sum(), batch)[0]
    assert theirs.abs().max() > 0.01
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.08), (torch.float16, 0.01)])
def test_half_precision_stays_close(dtype: torch.dtype, bound: float) -> None:
    """Cosine distance and relative error per feature; bf16 keeps 8 bits, fp16 11."""
    _, vit = tiny_vit()
    batch = images(32, 48)
    with torch.inference_mode():
        exact = vit(batch, last_block("value"))
        rough = vit.to(dtype)(batch.to(dtype), last_block("value"))
        for field in ("class_token", "dense"):
            expected, got = getattr(exact, field), getattr(rough, field)
            assert got.dtype == dtype
            assert (got.float() - expected).abs().max() < bound * expected.abs().max()
            cosine = F.cosine_similarity(got.float(), expected, dim=1)
            assert cosine.min() > 1 - bound**2


@pytest.mark.parametrize("size", [(33, 32), (32, 4), (7, 8)])
def test_sizes_off_the_patch_are_refused(size: tuple[int, int]) -> None:
    _, vit = tiny_vit()
    with pytest.raises(InputError, match=r"multiple of the patch \(8, 8\), got"):
        vit(images(*size))


def test_missing_blocks_are_refused() -> None:
    _, vit = tiny_vit()
    with pytest.raises(InputError, match="block 3 does not exist: this tower has blocks 0 to 2"):
        vit(images(32, 32), intermediates=[3])


def test_convolutional_towers_are_refused() -> None:
    with pytest.raises(InputError, match="has no patch tokens"):
        as_tower(torch.nn.Conv2d(3, 8, 3))
    with pytest.raises(InputError, match="transformer block of type Linear is not supported"):
        as_block(torch.nn.Linear(2, 2))


def test_attentional_pooling_is_refused() -> None:
    model = build(tiny_config(attentional_pool=True, attn_pooler_heads=2))
    with pytest.raises(InputError, match="attentional pooling"):
        DenseViT(model.visual)


def test_scaled_cosine_attention_is_refused() -> None:
    model = build(tiny_config(block_type="custom", scaled_cosine_attn=True))
    with pytest.raises(InputError, match="scaled-cosine"):
        DenseViT(model.visual)


def test_siglip_dense_is_the_value_path_of_the_pooling() -> None:
    """One patch alone in the picture is pooled to exactly its dense feature."""
    model = build_siglip()
    vit = DenseViT(model.visual)
    batch = images(*vit.patch_size, batch=2)
    with torch.inference_mode():
        features = vit(batch)
        assert features.grid == (1, 1)
        torch.testing.assert_close(
            features.dense[..., 0, 0], features.class_token, atol=1e-5, rtol=0
        )


def test_last_block_is_a_value() -> None:
    assert last_block("plain") == LastBlock()
    assert last_block("plain", residual=False) != LastBlock()


@pytest.mark.parametrize("bias", [True, False])
def test_linear_routes_agree(bias: bool) -> None:
    x, weight = torch.randn(3, 5, 24), torch.randn(40, 24)
    b = torch.randn(40) if bias else None
    with torch.inference_mode():
        torch.testing.assert_close(linear(x, weight, b), F.linear(x, weight, b), atol=1e-5, rtol=0)
        expected = F.gelu(F.linear(x, weight, b))
        torch.testing.assert_close(linear_gelu(x, weight, b), expected, atol=1e-5, rtol=0)
    x.requires_grad_()
    gradient = torch.autograd.grad(linear_gelu(x, weight, b).sum(), x)[0]
    assert gradient.abs().max() > 0
