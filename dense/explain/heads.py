"""Decomposition: the score as an exact sum over patches, heads and the rest of the tower.

Gandelsman, Efros and Steinhardt, "Interpreting CLIP's Image Representation via Text-Based
Decomposition", ICLR 2024, arXiv:2310.05916.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from dense.backbones.blocks import Block
from dense.backbones.text import project_text
from dense.errors import InputError
from dense.explain.base import Attribution, Explainer, needs_class_token
from dense.explain.pair import Pair
from dense.methods.segmentation.head_decomposition import contributions


@dataclass(frozen=True)
class Reading:
    """How a residual stream is read: the final norm at its actual spread, projection, direction.

    Attributes:
        gain: (C,) what a unit of each channel adds to the score, before centring.
        bias: What the norm's and the projection's biases add.
    """

    gain: Tensor
    bias: float

    def of(self, part: Tensor) -> Tensor:
        """Share (...) of parts (..., C) of the residual stream in the score; exactly linear."""
        return (part - part.mean(-1, keepdim=True)) @ self.gain


@dataclass(frozen=True)
class Shares:
    """The score of one tower taken apart; everything sums to it.

    Attributes:
        tokens: (T,) by attention from each token, all blocks and heads.
        heads: (blocks, heads) the same sum by head; the output bias is dealt evenly.
        feed_forward: Of all blocks.
        start: Of what entered the first block at the pooled token's place.
        bias: Of the final norm and projection.
    """

    tokens: Tensor
    heads: Tensor
    feed_forward: float
    start: float
    bias: float


@dataclass(frozen=True)
class HeadShares(Explainer):
    """Direct contributions to the pooled token (section 3.2), along the other side's feature.

    A residual stream is a sum, and the final norm is linear once its spread is known, so patches,
    class token, feed-forward branches, start and biases sum to the score (`parts`). Patches that
    worked only through other tokens say nothing here: the decomposition is of direct effects.

    Differs from the authors' code: the start, biases and feed-forward branches are kept as parts,
    so that nothing is lost; the text tower is taken apart in the same way, its end of text for
    the class token. Like them, no mean over a data set is put in place of any part.
    """

    name: ClassVar[str] = "heads"

    @torch.no_grad()
    def attribute(self, pair: Pair) -> Attribution:
        """See the base class."""
        needs_class_token(pair, self.name)
        visual: Any = pair.backbone.vit.tower.visual
        final = _run(pair.image_blocks[-1], pair.trace.entering[-1], 0)
        reading = _reading(final, visual.ln_post, visual.proj @ pair.direction, 0.0)
        length = pair.backbone.vit.pool(pair.trace)[0].norm()
        reading = Reading(reading.gain / length, reading.bias / float(length))
        image = _shares(pair.image_blocks, pair.trace.entering, reading, 0)
        text = _shares(
            pair.text_blocks, pair.text.entering[:-1], _text_reading(pair), pair.text.end
        )
        layout = pair.layout
        patches = image.tokens[layout.prefix :]
        parts = {
            "patches": float(patches.sum()),
            "class token": float(image.tokens[: layout.prefix].sum()),
            "feed-forward": image.feed_forward,
            "start": image.start,
            "bias": image.bias,
        }
        return Attribution(
            patches.view(layout.grid), text.tokens[1 : pair.text.end], parts, heads=image.heads
        )


def _run(block: Block, x: Tensor, row: int) -> Tensor:
    """The pooled token (C,) as it leaves a block."""
    own = contributions(block, x, row)[0].sum(0) + x[0, row]
    return own + block.feed_forward(own[None, None])[0, 0]


def _reading(final: Tensor, norm: Any, towards: Tensor, bias: float) -> Reading:
    """Reading of the stream at the pooled token `final` (C,), to be divided by its length.

    Args:
        final: The token that leaves the last block.
        norm: The final layer norm.
        towards: (C,) the projection applied to the other side's feature.
        bias: Of the projection, along the other side's feature.
    """
    spread = (final.var(correction=0) + norm.eps).sqrt()
    return Reading(norm.weight * towards / spread, float(norm.bias @ towards) + bias)


def _text_reading(pair: Pair) -> Reading:
    model: Any = pair.backbone.model
    final = pair.text.entering[-1][0, pair.text.end]
    zero = project_text(model, torch.zeros_like(final))
    eye = torch.eye(len(final), dtype=final.dtype, device=final.device)
    towards = (project_text(model, eye) - zero) @ pair.image_feature
    reading = _reading(final, model.ln_final, towards, float(zero @ pair.image_feature))
    length = pair.pool_text(pair.text.entering[-1])[0].norm()
    return Reading(reading.gain / length, reading.bias / float(length))


def _shares(
    blocks: Sequence[Block], entering: Sequence[Tensor], reading: Reading, row: int
) -> Shares:
    heads, tokens, feed_forward = [], torch.zeros(entering[0].shape[1]).to(entering[0]), 0.0
    for block, x in zip(blocks, entering, strict=True):
        given = contributions(block, x, row)[0]
        tokens += reading.of(given)
        by_head = _by_head(block, x, row)
        _check_linear(given.sum(0), by_head.sum(0))
        heads.append(reading.of(by_head))
        after = x[0, row] + given.sum(0)
        feed_forward += float(reading.of(block.feed_forward(after[None, None])[0, 0]))
    start = float(reading.of(entering[0][0, row]))
    return Shares(tokens, torch.stack(heads), feed_forward, start, reading.bias)


def _by_head(block: Block, x: Tensor, row: int) -> Tensor:
    """What each head adds to the pooled token, (heads, C); the output bias is dealt evenly."""
    q, k, v = block.qkv(x)
    weights = (q[:, :, row, None] @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1)
    attended = (weights @ v)[0]  # (heads, 1, d)
    alone = torch.diag_embed(attended[:, 0].T).permute(1, 2, 0)[:, :, None]  # (heads, heads, 1, d)
    bias = block.attention_branch(torch.zeros_like(alone[:1]))[0, 0]
    return block.attention_branch(alone)[:, 0] - bias * (1 - 1 / len(alone))


def _check_linear(one: Tensor, other: Tensor) -> None:
    if not torch.allclose(one, other, atol=1e-3, rtol=1e-3):
        raise InputError(
            "heads needs attention whose output is linear in the heads, but this checkpoint "
            "normalises it; choose another method"
        )


build = HeadShares
