"""The second path beside the last blocks, and what a trace holds."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from dense.backbones import last_block
from dense.backbones.blocks import run_block
from dense.backbones.dual_path import dual_path, parallel_outputs
from dense.errors import InputError
from tests.backbones.builders import images, tiny_vit


def test_dual_path_in_independent_lines() -> None:
    """x_orig through open_clip's blocks; the second path sums value-value attention of it."""
    model, vit = tiny_vit(layers=4)
    batch = images(32, 40)
    with torch.inference_mode():
        got = dual_path(vit, batch, first=2, keep=(0, 2, -1))
        x = vit.tower.embed(batch)
        original, path = [], None
        for number, block in enumerate(model.visual.transformer.resblocks):
            if number >= 2:
                y = block.ln_1(x)
                v = F.linear(y, block.attn.in_proj_weight, block.attn.in_proj_bias).chunk(3, -1)[2]
                v = v.unflatten(-1, (2, 16)).transpose(1, 2)
                mixed = (v @ v.transpose(-1, -2) / 4).softmax(-1) @ v
                mixed = block.attn.out_proj(mixed.transpose(1, 2).flatten(2))
                path = (x if path is None else path) + mixed
            x = block(x)
            original.append(x)
            if number == 2:
                middle = path
    for place, number in enumerate((0, 2, 3)):
        torch.testing.assert_close(got.original[place], original[number], atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[0], original[0], atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[1], middle, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.parallel[2], path, atol=1e-5, rtol=0)
    torch.testing.assert_close(got.class_token, vit(batch).class_token, atol=1e-5, rtol=0)


def test_dual_path_passes_gradients_to_the_pictures() -> None:
    _, vit = tiny_vit()
    batch = images(32, 32).requires_grad_()
    dual_path(vit, batch, first=-2).parallel[0].sum().backward()
    assert batch.grad is not None and batch.grad.abs().sum() > 0


def test_second_path_of_the_last_block_is_the_last_block() -> None:
    _, vit = tiny_vit()
    with torch.inference_mode():
        trace = vit.trace(images(32, 32))
        (path,) = parallel_outputs(vit, trace, 2)
        block = last_block("vv", feed_forward=False)
        expected = vit(images(32, 32), block).patch_tokens
    torch.testing.assert_close(path[:, 1:], expected, atol=1e-5, rtol=0)


def test_missing_block() -> None:
    _, vit = tiny_vit()
    with pytest.raises(InputError, match="must start in a block of the tower, 0 to 2, got 3"):
        dual_path(vit, images(32, 32), first=3)
    with pytest.raises(InputError, match=r"kept blocks must be in 0 to 2, got \(5,\)"):
        dual_path(vit, images(32, 32), first=1, keep=(5,))


def test_trace_is_what_enters_each_block() -> None:
    _, vit = tiny_vit()
    with torch.inference_mode():
        trace, features = vit.trace(images(32, 32)), vit(images(32, 32), intermediates=(0, 1))
        for index, expected in enumerate(features.intermediates):
            tokens = trace.patches(index + 1).transpose(1, 2).unflatten(2, (4, 4))
            assert torch.equal(tokens, expected)
        last = run_block(vit.tower.blocks[-1], trace.entering[-1])
        torch.testing.assert_close(vit.pool(trace), vit.tower.pool(last), atol=1e-5, rtol=0)
    assert trace.prefix(0).shape == (2, 1, 32)
