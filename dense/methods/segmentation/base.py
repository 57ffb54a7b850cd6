"""What a segmentation method is: how patches become dense features, and how words score them.

A method starts from a `Trace`, what entered each block as trained, and is free to redo the last
block, to read earlier ones, or to run a path of its own beside them. Windows, resizing, refinement
and the decision are not its business: `OpenVocabSegmentor` does them the same way for all.

A row of the catalogue with the task "segment" names a function of the signature

    build(backbone, classifier, *, protocol=WHOLE, batch_size=4, **settings) -> OpenVocabSegmentor

where `settings` are the method's own fields (misspelt ones are refused by name); `builder` makes
it from a method's class.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from torch import Tensor

from dense.backbones.attention import ATTENTIONS, LastBlock, last_block
from dense.backbones.blocks import run_patches
from dense.backbones.depth import blocks_of
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError, unknown_name
from dense.heads.pixel import centre, text_similarity
from dense.methods.segmentation.protocol import WHOLE, SegmentProtocol
from dense.structures import TextClassifier

if TYPE_CHECKING:
    from dense.backbones import CLIPBackbone
    from dense.methods.segmentor import OpenVocabSegmentor

Setting = float | int | bool | str | None | LastBlock


@dataclass(frozen=True)
class PatchMethod(ABC):
    """Scores the patches of a batch; subclasses are frozen dataclasses of their settings."""

    name: ClassVar[str]

    @abstractmethod
    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Dense features (B, D, gh, gw) in the joint space, of any length."""

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Score (B, P, gh, gw) of each query on each patch: the cosine unless a method differs.

        Logits are `classifier.logit_scale` times this.
        """
        return text_similarity(self.dense(vit, trace), classifier.weights)

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""
        return {"method": self.name, **{f.name: getattr(self, f.name) for f in fields(self)}}


@dataclass(frozen=True)
class LastBlockMethod(PatchMethod):
    """Methods that only replace the attention of the last block.

    Attributes:
        block: The attention, and which branches stay.
        centring: Share of each window's mean feature to subtract (`dense.heads.pixel.centre`).
        label: The method's name on the card.
    """

    name: ClassVar[str] = "last block"
    block: LastBlock
    centring: float = 0.0
    label: str = "last block"

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the replaced block. See the base class."""
        patches = run_patches(vit.tower.blocks[-1], trace.entering[-1], self.block, trace.layout)
        return centre(vit.project(patches, trace.layout.grid), self.centring)

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""
        return {
            "method": self.label,
            "attention": _attention_name(self.block),
            "residual": self.block.residual,
            "feed_forward": self.block.feed_forward,
            "centring": self.centring,
        }


def scaled_block(vit: DenseViT, block: int, *, of: int = 12) -> int:
    """A block that a paper names for a tower of 12, at the same relative depth of another tower.

    The identity for 12 blocks; papers give no rule for others.
    """
    return blocks_of((block + 1) / of, vit.num_blocks) - 1


SegmentBuilder = Callable[..., "OpenVocabSegmentor"]


def builder(make: Callable[..., PatchMethod]) -> SegmentBuilder:
    """The catalogue's build function of a method.

    Args:
        make: The method's class, or a function of its settings.
    """

    def build(
        backbone: CLIPBackbone,
        classifier: TextClassifier,
        *,
        protocol: SegmentProtocol = WHOLE,
        batch_size: int = 4,
        **settings: Setting,
    ) -> OpenVocabSegmentor:
        """Make the segmentor of a method, see the module's text."""
        from dense.methods.segmentor import OpenVocabSegmentor

        known = inspect.signature(make).parameters
        for key in settings:
            if key not in known:
                if not known:
                    raise InputError(f"this method has no settings, got {key!r}")
                raise unknown_name("setting of the method", key, known)
        return OpenVocabSegmentor(
            backbone,
            classifier,
            method=make(**settings),
            protocol=protocol,
            batch_size=batch_size,
        )

    return build


def _replaced(label: str, attention: str, *, whole: bool) -> SegmentBuilder:
    """Build function of a method that replaces the last attention; `whole` keeps its branches."""
    block = last_block(attention, residual=whole, feed_forward=whole)
    return builder(partial(_fixed, block, label))


def _fixed(block: LastBlock, label: str, /, centring: float = 0.0) -> PatchMethod:
    return LastBlockMethod(block, centring, label)


build_clip = _replaced("clip", "plain", whole=True)
"""CLIP's own last block: patches carry the whole picture's meaning, the floor of every table."""

build_sclip = _replaced("sclip", "qq+kk", whole=True)
"""SCLIP: soft-max of q q and of k k, summed (equation 4); residual and feed-forward kept. Patches
attend to their like instead of to the few patches that serve the class token, hence above CLIP."""

build_clearclip = _replaced("clearclip", "qq", whole=False)
"""ClearCLIP: q q attention, residual and feed-forward dropped (section 3.3): the residual carries
large, picture-wide channels that drown the local ones."""

build_naclip = _replaced("naclip", "neighbourhood", whole=False)
"""NACLIP: k k attention with a Gaussian of 5 patches, no residual or feed-forward ("reduced")."""


def _attention_name(block: LastBlock) -> str:
    names = [name for name, function in ATTENTIONS.items() if function is block.attention]
    return names[0] if names else getattr(block.attention, "__name__", "custom")
