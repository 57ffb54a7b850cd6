"""What methods share that mix CLIP's values as a second network says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.methods.segmentation.base import PatchMethod, SegmentBuilder, Setting, builder
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.providers import Provider, Regions, View, find_provider, find_regions, fitted
from dense.structures import Size, TextClassifier

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.methods.segmentor import OpenVocabSegmentor

Source = Provider | Regions


@dataclass(frozen=True)
class ProvidedMethod(PatchMethod):
    """A method that reads a second network; its card names the networks."""

    name: ClassVar[str] = "provided"
    provider: Provider | None

    def describe(self) -> dict[str, object]:
        """Name, settings and the names of the networks, for the protocol card."""
        card = super().describe()
        return {k: v.name if isinstance(v, Source) else v for k, v in card.items()}

    def look(self, vit: DenseViT, trace: Trace) -> View:
        """What the second network sees.

        Raises:
            InputError: If there is none.
        """
        if self.provider is None:
            raise InputError(f"{self.name} needs a second network: choose a provider")
        return self.provider.look(vit, trace)


def tiled(finer: Size, grid: Size) -> Size:
    """CLIP's grid times the whole number that brings it nearest to a second network's."""
    times = max(1, round((finer[0] * finer[1] / (grid[0] * grid[1])) ** 0.5))
    return grid[0] * times, grid[1] * times


def mixed_values(
    vit: DenseViT, tokens: Tensor, trace: Trace, weights: Tensor, grid: Size
) -> Tensor:
    """Attention branch of the last block when an outside affinity mixes its values.

    Args:
        vit: The tower.
        tokens: (B, T, C) that enter the block, or stand in for what does.
        trace: Where the tokens stand.
        weights: (B, N, N) rows that sum to one, on `grid`.
        grid: (gh, gw), N patches; values are resized to it.

    Returns:
        (B, N, C).
    """
    block = vit.tower.blocks[-1]
    values = block.qkv(tokens)[2][:, :, trace.layout.prefix :]
    heads = values.shape[1]
    maps = values.transpose(2, 3).flatten(1, 2).unflatten(2, trace.layout.grid)
    patches = fitted(maps, grid).flatten(2).transpose(1, 2)
    mixed = weights.to(patches.dtype) @ patches
    return block.attention_branch(mixed.unflatten(2, (heads, -1)).transpose(1, 2))


def provided(make: Callable[..., PatchMethod], **sources: str) -> SegmentBuilder:
    """The catalogue's build function of a method that reads other networks.

    Each source is a setting (the network's name) with a second one, ``NAME_weights`` (its file).

    Args:
        make: The method's class; the sources are its first arguments, in order.
        sources: Names of the arguments and the networks they are by default.
    """

    def build(
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        protocol: SegmentProtocol = WHOLE,
        batch_size: int = 4,
        **settings: Setting,
    ) -> OpenVocabSegmentor:
        """Make the segmentor of a method, see `dense.methods.segmentation.base`."""
        networks = [_source(key, name, backbone, settings) for key, name in sources.items()]
        for key in sources:
            settings = {k: v for k, v in settings.items() if k not in (key, f"{key}_weights")}
        finish = builder(partial(make, *networks))
        return finish(backbone, classifier, protocol=protocol, batch_size=batch_size, **settings)

    return build


def _source(
    key: str, default: str, backbone: CLIPBackbone, settings: Mapping[str, Setting]
) -> Source | None:
    weights, chosen = settings.get(f"{key}_weights"), str(settings.get(key, default))
    if chosen == "none":
        return None
    find = find_regions if key == "regions" else find_provider
    return find(chosen, backbone, None if weights is None else str(weights))
