"""Second-order attribution: which word goes with which place.

Möller, Tilli, Vu and Padó, "Explaining Caption-Image Interactions in CLIP Models with Second-Order
Attributions", TMLR 2025, arXiv:2408.14153.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from dense.backbones.blocks import Block
from dense.backbones.text import embed_tokens
from dense.errors import InputError
from dense.explain.base import Attribution, Explainer
from dense.explain.gradient import visible_block
from dense.explain.pair import Pair, TextSide, run_text_block

ROWS_AT_ONCE = 64
"""Output channels whose gradients are taken together: bounds the memory."""


@dataclass(frozen=True)
class SecondOrder(Explainer):
    """Integrated Jacobians of both towers, multiplied (equations 9 and 10).

    With references r (a black picture after normalisation, a text of one padding token) the score
    splits into interactions A[token, patch] = Σ_D U_text[token, D] U_image[patch, D], where
    U[i] = ∫ ∂e/∂x_i (r + s (x − r)) ds · (x_i − r_i) is what moves the embedding e from its
    reference. The integral is a mean over `points` steps. Summed over all tokens and patches, the
    ends and the class token included, A tends to (e(x) − e(r))·(e(x') − e(r')) / (‖e(x)‖ ‖e(x')‖).

    Differs from the authors' package: the Jacobian of the image tower is never formed; one
    backward pass a token gives its product with U_text, exact and D/T times cheaper.

    Attributes:
        block: Block whose input is attributed, from the end: −1 as the authors' default.
        points: Steps of the integral.

    Raises:
        InputError: If there is no point.
    """

    name: ClassVar[str] = "second-order"
    block: int = -1
    points: int = 10

    def __post_init__(self) -> None:
        if self.points < 1 or self.block >= 0:
            raise InputError(
                "second-order needs 1 or more points and a block counted from the end (-1, -2 "
                f"...), got {self.points} and {self.block}"
            )

    def attribute(self, pair: Pair) -> Attribution:
        """See the base class."""
        first = _from_end(self.block, len(pair.image_blocks))
        x = pair.trace.entering[first].detach()
        with torch.no_grad():
            blank = torch.zeros_like(pair.trace.images)  # type: ignore[arg-type]
            reference = pair.backbone.vit.trace(blank).entering[first]
        moves = [self.text_moves(pair, side) for side in (pair.text, *pair.against)]
        rows = [moves[0], *(-m.sum(0, keepdim=True) / len(pair.against) for m in moves[1:])]
        shares = _image_shares(
            x, reference, self.points, lambda y: pair.finish_image(y, first), torch.cat(rows)
        )
        with torch.no_grad():
            shares = shares / pair.finish_image(x, first)[0].norm()
        count, prefix = len(moves[0]), pair.layout.prefix
        every = shares[:, prefix:]
        interactions = every[1 : count - 1].unflatten(1, pair.layout.grid)
        whole = every.sum(0).view(pair.layout.grid)
        parts = {"explained": float(shares.sum()), "patches": float(every.sum())}
        return Attribution(whole, interactions.sum((1, 2)), parts, interactions)

    def text_moves(self, pair: Pair, side: TextSide) -> Tensor:
        """How each token of a sentence moves its embedding, (L, D), in units of its length."""
        blocks = pair.text_blocks
        first = _from_end(self.block, len(blocks))
        x = side.entering[first].detach()
        reference = _text_reference(pair, x.shape[1], blocks[:first])
        return (
            _moves(x, reference, self.points, lambda y: _finish(pair, blocks[first:], y))
            / _finish(pair, blocks[first:], x).detach()[0].norm()
        )


def _from_end(block: int, depth: int) -> int:
    if -block > depth:
        raise InputError(f"block {block} does not exist: this tower has {depth} blocks")
    return block + depth


def _finish(pair: Pair, blocks: list[Block], x: Tensor) -> Tensor:
    """Text tokens (B, L, C) through blocks whose attention can be differentiated in batches."""
    for block in blocks:
        x, _ = visible_block(block, x, causal=True)
    return pair.pool_text(x)


@torch.no_grad()
def _text_reference(pair: Pair, length: int, blocks: list[Block]) -> Tensor:
    """(1, L, C) of a text that says nothing: start, one padding token, end, padding."""
    ids = torch.zeros(1, max(length, 3), dtype=torch.int64)
    ids[0, 0], ids[0, 2] = pair.text.sentence.ids[0, 0], pair.text.sentence.ids[0, -1]
    x = embed_tokens(pair.backbone.model, ids.to(pair.backbone.device))
    for block in blocks:
        x = run_text_block(block, x)
    return x[:, :length]


def _path(x: Tensor, reference: Tensor, points: int) -> Tensor:
    """(points, T, C) from `x` towards the reference, which is left out."""
    steps = torch.arange(points, 0, -1, device=x.device, dtype=x.dtype).view(-1, 1, 1) / points
    return (reference + steps * (x - reference)).requires_grad_()


def _moves(x: Tensor, reference: Tensor, points: int, finish: Callable[[Tensor], Tensor]) -> Tensor:
    """U (T, D): integrated Jacobian times the way from the reference."""
    with torch.enable_grad():
        path = _path(x, reference, points)
        total = finish(path).mean(0)
    eye = torch.eye(len(total), dtype=x.dtype, device=x.device)
    found = []
    for rows in eye.split(ROWS_AT_ONCE):
        (jacobian,) = torch.autograd.grad(
            total, path, rows, retain_graph=True, is_grads_batched=True
        )
        found.append((jacobian.sum(1) * (x - reference)).sum(-1))
    return torch.cat(found).T


def _image_shares(
    x: Tensor,
    reference: Tensor,
    points: int,
    finish: Callable[[Tensor], Tensor],
    directions: Tensor,
) -> Tensor:
    """How far each token (T) moves the embedding along each direction (S, D). → (S, T)."""
    with torch.enable_grad():
        path = _path(x, reference, points)
        total = finish(path).mean(0)
    found = []
    for direction in directions:
        (gradient,) = torch.autograd.grad(total, path, direction, retain_graph=True)
        found.append((gradient.sum(0) * (x - reference)[0]).sum(-1))
    return torch.stack(found)


build = SecondOrder
