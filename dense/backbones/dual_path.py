"""A second path beside the last blocks of a tower, fed by value-value attention.

The new path has no feed-forward branch: it collects what attention among the values alone says of
the tokens of the original path, which runs on as trained. CLIP Surgery (Li et al. 2025, section
3.2) introduced it; AnomalyCLIP's DPAM and CLIP-AD's SDP are choices of where it starts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from dense.backbones.attention import TokenLayout, attention_sum
from dense.backbones.blocks import Block, run_block
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError

Mix = Callable[[Block, Tensor, TokenLayout], Tensor]
"""What a block's second path reads: (block, entering tokens (B, T, C), layout) → attended heads
(B, heads, T, d)."""


@dataclass(frozen=True)
class DualPath:
    """Both paths, prefix tokens first.

    Attributes:
        parallel: The second path after each kept block, (B, T, C); the original path before the
            second starts.
        original: The original path after the same blocks, (B, T, C).
        class_token: (B, D) image features as trained, not normalised.
        layout: Where the tokens stand.
    """

    parallel: tuple[Tensor, ...]
    original: tuple[Tensor, ...]
    class_token: Tensor
    layout: TokenLayout


def value_value(block: Block, x: Tensor, layout: TokenLayout) -> Tensor:
    """Values mixed by their own similarity."""
    v = block.qkv(x)[2]
    return attention_sum([(v, v)], v)


def parallel_outputs(
    vit: DenseViT, trace: Trace, first: int, mix: Mix = value_value
) -> tuple[Tensor, ...]:
    """The second path after each block from `first` on, each (B, T, C).

    It begins with what enters block `first` and adds what each block's attention branch makes of
    the tokens of the original path.

    Args:
        vit: The tower.
        trace: Of a batch.
        first: First block with a second path, 0-based.
        mix: Attention of the second path.

    Raises:
        InputError: If the tower has no such block.
    """
    if not 0 <= first < vit.num_blocks:
        raise InputError(
            f"the second path must start in a block of the tower, 0 to {vit.num_blocks - 1}, got "
            f"{first}"
        )
    outputs = [trace.entering[first]]
    for block, x in zip(vit.tower.blocks[first:], trace.entering[first:], strict=True):
        outputs.append(outputs[-1] + block.attention_branch(mix(block, x, trace.layout)))
    return tuple(outputs[1:])


def dual_path(
    vit: DenseViT,
    images: Tensor,
    *,
    first: int,
    keep: Sequence[int] = (-1,),
    mix: Mix = value_value,
) -> DualPath:
    """Run a tower with a second path.

    Args:
        vit: The tower.
        images: (B, 3, h, w) preprocessed.
        first: First block with a second path; negative numbers count from the end.
        keep: Blocks whose outputs are kept, 0-based or negative.
        mix: Attention of the second path.

    Raises:
        InputError: If a block does not exist.
    """
    count = vit.num_blocks
    start, *kept = [i + count if i < 0 else i for i in (first, *keep)]
    if any(not 0 <= index < count for index in kept):
        raise InputError(f"kept blocks must be in 0 to {count - 1}, got {tuple(keep)}")
    trace = vit.trace(images)
    beside = parallel_outputs(vit, trace, start, mix)
    whole = run_block(vit.tower.blocks[-1], trace.entering[-1])
    after = (*trace.entering[1:], whole)
    return DualPath(
        tuple(beside[i - start] if i >= start else after[i] for i in kept),
        tuple(after[i] for i in kept),
        vit.tower.pool(whole),
        trace.layout,
    )
