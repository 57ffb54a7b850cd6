"""Which blocks of a tower: by index, or by share of its depth so that settings fit any tower."""

from __future__ import annotations

from collections.abc import Sequence

from dense.errors import InputError

QUARTERS = (0.25, 0.5, 0.75, 1.0)
"""The four layers of the published methods: 6, 12, 18 and 24 of ViT-L, 3, 6, 9 and 12 of ViT-B."""


def layer_indices(layers: Sequence[int | float], depth: int) -> tuple[int, ...]:
    """Blocks as rising 0-based indices, each once.

    Args:
        layers: Whole numbers are 0-based indices (negative ones count from the end); others are
            shares of the depth in (0, 1]: 1.0 is the last block.
        depth: Number of blocks of the tower.

    Raises:
        InputError: If there is none, or one does not exist.
    """
    if not layers:
        raise InputError("no layers are chosen: name at least one block, e.g. 1.0 for the last")
    return tuple(sorted({_index(layer, depth) for layer in layers}))


def blocks_of(share: float, depth: int) -> int:
    """Number of blocks that a share in (0, 1] of the depth makes, at least 1."""
    return min(depth, max(1, round(share * depth)))


def _index(layer: int | float, depth: int) -> int:
    if isinstance(layer, float):
        if not 0 < layer <= 1:
            raise InputError(
                f"a layer given as a share of the depth must be in (0, 1], got {layer}; write "
                "whole numbers for indices"
            )
        return blocks_of(layer, depth) - 1
    index = layer + depth if layer < 0 else layer
    if not 0 <= index < depth:
        raise InputError(f"block {layer} does not exist: this tower has blocks 0 to {depth - 1}")
    return index
