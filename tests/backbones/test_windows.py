"""`encode_windows` against a plain loop that drops tokens and runs open_clip's own layers."""

import pytest
import torch
from torch import nn

from dense.backbones import vit as vit_module
from dense.backbones.blocks import attend
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.regions import window_indices
from tests.backbones.builders import build, build_siglip, images, tiny_config, tiny_vit


def dropped_loop(visual: nn.Module, batch: torch.Tensor, windows: torch.Tensor) -> torch.Tensor:
    """(B, W, D) one window at a time through open_clip's own `transformer`, at its own size."""
    tokens = visual._embeds(batch)
    rows = []
    for window in windows:
        kept = torch.cat([tokens[:, :1], tokens[:, 1:][:, window]], dim=1)
        x = visual.ln_post(visual.transformer(kept))
        rows.append(visual._global_pool(x)[0] @ visual.proj)
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize(
    "vision",
    [
        {},
        {"layers": 1},
        {"layers": 2, "no_ln_pre": True, "ls_init_value": 0.1},
        {"pool_type": "avg"},
    ],
    ids=["plain", "one block", "layer scale", "average pool"],
)
def test_two_scales_equal_the_plain_loop(vision: dict[str, object]) -> None:
    model, vit = tiny_vit(**vision)
    batch = images(32, 32)
    windows = [window_indices((4, 4), 2), window_indices((4, 4), 3)]
    with torch.inference_mode():
        ours = vit.encode_windows(batch, windows)
        for got, index in zip(ours, windows, strict=True):
            expected = dropped_loop(model.visual, batch, index)
            assert expected.std() > 0.1
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_non_square_grid_equals_the_plain_loop() -> None:
    model = build(tiny_config(image_size=(24, 56)))  # open_clip's own tower of a 3 × 7 grid
    vit = DenseViT(model.visual)
    windows = window_indices((3, 7), 2)
    assert windows.shape == (2 * 6, 4)
    batch = images(24, 56, batch=3)
    with torch.inference_mode():
        got = vit.encode_windows(batch, [windows])[0]
        torch.testing.assert_close(
            got, dropped_loop(model.visual, batch, windows), atol=1e-5, rtol=0
        )


def test_window_of_all_patches_is_the_image_feature() -> None:
    _, vit = tiny_vit()
    batch = images(32, 32)
    with torch.inference_mode():
        got = vit.encode_windows(batch, [torch.arange(16)[None]])[0][:, 0]
        torch.testing.assert_close(got, vit.encode_image(batch), atol=1e-5, rtol=0)


def test_tower_without_class_token() -> None:
    model = build_siglip()
    vit = DenseViT(model.visual)
    batch = images(*vit.image_size, batch=1)
    grid = (batch.shape[2] // vit.patch_size[0], batch.shape[3] // vit.patch_size[1])
    windows = window_indices(grid, 2)[:3]
    trunk = model.visual.trunk
    with torch.inference_mode():
        tokens = trunk._pos_embed(trunk.patch_embed(batch))
        for row, window in enumerate(windows):
            x = trunk.norm_pre(tokens)[:, window]
            expected = trunk.forward_head(trunk.norm(trunk.blocks(x)))
            got = vit.encode_windows(batch, [windows])[0][:, row]
            torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("first", [1, 2, -1])
def test_windows_that_are_cut_late_equal_the_plain_loop(first: int) -> None:
    """All tokens run together through the first blocks, then each window alone."""
    model, vit = tiny_vit()
    batch, windows = images(32, 32), window_indices((4, 4), 2)
    visual = model.visual
    with torch.inference_mode():
        got = vit.pool_windows(vit.trace(batch), [windows], first=first)[0]
        tokens = visual._embeds(batch)
        blocks = visual.transformer.resblocks
        for block in blocks[:first]:
            tokens = block(tokens)
        rows = []
        for window in windows:
            x = torch.cat([tokens[:, :1], tokens[:, 1:][:, window]], dim=1)
            for block in blocks[first:]:
                x = block(x)
            rows.append(visual.ln_post(x)[:, 0] @ visual.proj)
        expected = torch.stack(rows, dim=1)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)
        exact = vit.encode_windows(batch, [windows])[0]
    assert (got - exact).abs().max() > 0.01


def test_late_windows_of_a_tower_without_class_token() -> None:
    model = build_siglip()
    vit, trunk = DenseViT(model.visual), model.visual.trunk
    batch = images(*vit.image_size, batch=1)
    grid = (batch.shape[2] // vit.patch_size[0], batch.shape[3] // vit.patch_size[1])
    windows = window_indices(grid, 2)[:2]
    with torch.inference_mode():
        trace = vit.trace(batch)
        got = vit.pool_windows(trace, [windows], first=-1)[0]
        for row, window in enumerate(windows):
            x = trunk.blocks[-1](trace.entering[-1][:, window])
            expected = trunk.forward_head(trunk.norm(x))
            torch.testing.assert_close(got[:, row], expected, atol=1e-5, rtol=0)


def test_chunking_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, vit = tiny_vit()
    batch = images(32, 32)
    windows = [window_indices((4, 4), 2), window_indices((4, 4), 3)]
    with torch.inference_mode():
        whole = vit.encode_windows(batch, windows)
        monkeypatch.setattr(vit_module, "WINDOW_TOKENS", 11)
        pieces = vit.encode_windows(batch, windows)
        single = [vit.encode_windows(image[None], windows) for image in batch]
    for scale in range(2):
        torch.testing.assert_close(pieces[scale], whole[scale], atol=1e-5, rtol=0)
        apart = torch.cat([rows[scale] for rows in single])
        torch.testing.assert_close(apart, whole[scale], atol=1e-5, rtol=0)


def test_ragged_masks_are_not_windows() -> None:
    _, vit = tiny_vit()
    with pytest.raises(InputError, match=r"below 16 for a grid of \(4, 4\), got 16"):
        vit.encode_windows(images(32, 32), [torch.tensor([[0, 16]])])


def test_gradients_flow_and_agree() -> None:
    model, vit = tiny_vit()
    batch = images(32, 32)
    windows = [window_indices((4, 4), 2)]
    with torch.no_grad():
        plain = vit.encode_windows(batch, windows)[0]
    trained = vit.encode_windows(batch, windows)[0]
    torch.testing.assert_close(trained.detach(), plain, atol=1e-5, rtol=0)
    got = torch.autograd.grad(trained.square().sum(), model.visual.conv1.weight)[0]
    loop = dropped_loop(model.visual, batch, windows[0]).square().sum()
    expected = torch.autograd.grad(loop, model.visual.conv1.weight)[0]
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(got, expected, atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.08), (torch.float16, 0.01)])
def test_half_precision_stays_close(dtype: torch.dtype, bound: float) -> None:
    _, vit = tiny_vit()
    batch, windows = images(32, 32), [window_indices((4, 4), 2)]
    with torch.inference_mode():
        exact = vit.encode_windows(batch, windows)[0]
        rough = vit.to(dtype).encode_windows(batch.to(dtype), windows)[0]
    assert rough.dtype == dtype
    assert (rough.float() - exact).abs().max() < bound * exact.abs().max()


@pytest.mark.parametrize("length", [1, 5, 32, 33])
def test_attention_of_short_sequences(length: int) -> None:
    """Batched products and the fused kernel agree, also for fewer queries than keys."""
    q, k, v = torch.randn(3, 7, 2, length, 16)
    with torch.inference_mode():
        for queries in (q, q[:, :, :1]):
            expected = nn.functional.scaled_dot_product_attention(queries, k, v)
            torch.testing.assert_close(attend(queries, k, v), expected, atol=1e-5, rtol=0)
