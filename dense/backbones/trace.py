"""What enters each block of a tower: where every method on more than the last block starts.

Several methods on one trace share its cost, which is nearly all of the work.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from dense.backbones.attention import TokenLayout


@dataclass(frozen=True)
class Trace:
    """The tokens of a batch on their way through the blocks, as trained.

    Attributes:
        entering: One (B, T, C) a block: what enters it, prefix tokens first. The output of block
            i is what enters block i + 1; the last block has not run.
        layout: Where the tokens stand.
        images: (B, 3, h, w) the pictures, preprocessed, for methods that show them to a second
            network.
    """

    entering: tuple[Tensor, ...]
    layout: TokenLayout
    images: Tensor | None = None

    def patches(self, block: int) -> Tensor:
        """Patch tokens (B, N, C) that enter a block."""
        return self.entering[block][:, self.layout.prefix :]

    def prefix(self, block: int) -> Tensor:
        """Class and register tokens (B, prefix, C) that enter a block."""
        return self.entering[block][:, : self.layout.prefix]
