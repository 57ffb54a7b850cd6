"""What a second network sees in a batch, whatever the network is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.structures import Size


@dataclass(frozen=True)
class View:
    """Features of a batch, and the projections of the network's last block.

    Attributes:
        features: (B, C, gh, gw) of the patches, any length.
        queries: (B, heads, T, d) of all tokens, unscaled.
        keys: (B, heads, T, d).
        values: (B, heads, T, d).
        inside: (N,) int64: which tokens are the patches of the grid, row-major; the others are
            class tokens, registers or padding.
        position: Rows (B, heads, T, th) and columns (B, heads, T, tw) that a network with relative
            positions adds to its attention logits; its T tokens are a th × tw grid.
    """

    features: Tensor
    queries: Tensor
    keys: Tensor
    values: Tensor
    inside: Tensor
    position: tuple[Tensor, Tensor] | None = None

    @property
    def grid(self) -> Size:
        """(gh, gw)."""
        return self.features.shape[-2], self.features.shape[-1]

    @property
    def heads(self) -> int:
        """Heads of the last block."""
        return self.queries.shape[1]

    def attention(self, head: int) -> Tensor:
        """Attention (B, N, N) of one head among patches, as trained.

        Rows sum to less than one where other tokens take part.
        """
        q, k = self.queries[:, head, self.inside], self.keys[:, head]
        logits = q @ k.transpose(1, 2) * q.shape[-1] ** -0.5
        if self.position is not None:
            rows, columns = (part[:, head, self.inside] for part in self.position)
            logits = logits + (rows[..., :, None] + columns[..., None, :]).flatten(2)
        return logits.softmax(-1)[:, :, self.inside]

    def as_map(self, projection: Tensor) -> Tensor:
        """Patches of queries, keys, values or their sum as a map (B, heads * d, gh, gw)."""
        patches = projection[:, :, self.inside].transpose(2, 3).flatten(1, 2)
        return patches.unflatten(2, self.grid)


class Provider(ABC):
    """A network that looks at a batch; `name` goes to the protocol card."""

    name: str

    @abstractmethod
    def look(self, vit: DenseViT, trace: Trace) -> View:
        """Show the traced pictures to the network.

        Raises:
            InputError: If the trace has no pictures and the network needs them.
        """


class PixelProvider(Provider):
    """A network of its own, which needs the pictures in its own normalisation.

    Args:
        name: For the card.
        source: How the CLIP's pictures are normalised.
        target: How the network wants them.
    """

    def __init__(self, name: str, source: PreprocessConfig, target: PreprocessConfig) -> None:
        self.name = name
        self.source = source
        self.target = target

    def pictures(self, trace: Trace) -> Tensor:
        """The traced pictures (B, 3, h, w) in the network's normalisation."""
        images = unnormalised(trace, self.source)
        return (images - _channels(self.target.mean, images)) / _channels(self.target.std, images)


def unnormalised(trace: Trace, source: PreprocessConfig) -> Tensor:
    """The traced pictures (B, 3, h, w) in [0, 1], up to the overshoot of resizing.

    Raises:
        InputError: If the trace has none.
    """
    if trace.images is None:
        raise InputError(
            "this method shows the pictures to a second network, but the trace has none: make it "
            "with DenseViT.trace"
        )
    return trace.images * _channels(source.std, trace.images) + _channels(source.mean, trace.images)


def fitted(maps: Tensor, grid: Size) -> Tensor:
    """Resize maps (B, C, gh, gw) to another grid, bilinearly; the identity where it fits."""
    if maps.shape[-2:] == grid:
        return maps
    return F.interpolate(maps, grid, mode="bilinear", align_corners=False)


def cosine(maps: Tensor) -> Tensor:
    """Cosine similarity (B, N, N) of all patches of maps (B, C, gh, gw)."""
    unit = F.normalize(maps.float().flatten(2), dim=1)
    return unit.transpose(1, 2) @ unit


def _channels(values: tuple[float, float, float], like: Tensor) -> Tensor:
    return torch.tensor(values, dtype=like.dtype, device=like.device).view(3, 1, 1)
