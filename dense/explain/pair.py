"""A picture and a sentence whose towers can run on from any block, with gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.attention import TokenLayout
from dense.backbones.blocks import Block, run_block, run_class_query
from dense.backbones.preprocess import fit_short_side
from dense.backbones.text import embed_tokens, is_causal, pool_tokens, text_blocks
from dense.backbones.trace import Trace
from dense.errors import InputError
from dense.explain.tokens import Sentence, read_sentence
from dense.structures import Size

LONGEST_RATIO = 4
"""The long side is at most this many short sides: bounds memory for extreme aspect ratios."""


@dataclass(frozen=True)
class TextSide:
    """One sentence in the text tower.

    Attributes:
        sentence: Its words.
        entering: One (1, L, C) a block: what enters it; the last entry leaves the last block.
        feature: (D,) of unit length.
    """

    sentence: Sentence
    entering: tuple[Tensor, ...]
    feature: Tensor

    @property
    def end(self) -> int:
        """Place of the end of text, which is pooled."""
        return self.entering[0].shape[1] - 1


@dataclass(frozen=True)
class Pair:
    """What is explained: score = unit image feature · direction.

    Attributes:
        backbone: The CLIP; its weights get no gradients.
        trace: What entered each image block, one picture.
        image_feature: (D,) of unit length.
        text: The sentence.
        against: Sentences that are subtracted.
        direction: (D,) the sentence's unit feature, less the mean of those of `against`.
    """

    backbone: CLIPBackbone
    trace: Trace
    image_feature: Tensor
    text: TextSide
    against: tuple[TextSide, ...]
    direction: Tensor

    @property
    def score(self) -> float:
        """Cosine similarity, less the mean similarity to `against`."""
        return float(self.image_feature @ self.direction)

    @property
    def cosine(self) -> float:
        """Cosine similarity of the picture and the sentence alone."""
        return float(self.image_feature @ self.text.feature)

    @property
    def layout(self) -> TokenLayout:
        """Where the image tokens stand."""
        return self.trace.layout

    @property
    def image_blocks(self) -> list[Block]:
        """Blocks of the image tower."""
        return self.backbone.vit.tower.blocks

    @property
    def text_blocks(self) -> list[Block]:
        """Blocks of the text tower."""
        return text_blocks(self.backbone.model)

    def finish_image(self, x: Tensor, first: int) -> Tensor:
        """Run image tokens (B, T, C) through the blocks from `first` on, pool. → (B, D) raw."""
        vit, blocks = self.backbone.vit, self.image_blocks[first:]
        for place, block in enumerate(blocks, 1):
            if place == len(blocks) and vit.pools_class_token:
                x = run_class_query(block, x, self.layout.prefix)
            else:
                x = run_block(block, x)
        return vit.tower.pool(x)

    def finish_text(self, x: Tensor, first: int) -> Tensor:
        """The same for text tokens (B, L, C), whose last one is the end of text. → (B, D) raw."""
        for block in self.text_blocks[first:]:
            x = run_text_block(block, x)
        return self.pool_text(x)

    def pool_text(self, x: Tensor) -> Tensor:
        """Tokens (B, L, C) that leave the last text block → (B, D), not normalised."""
        end = torch.full((len(x),), x.shape[1] - 1, device=x.device)
        return pool_tokens(self.backbone.model, x, end)


def run_text_block(block: Block, x: Tensor) -> Tensor:
    """A causal block as trained. (B, L, C) → the same."""
    heads = F.scaled_dot_product_attention(*block.qkv(x), is_causal=True)
    x = x + block.attention_branch(heads)
    return x + block.feed_forward(x)


def make_pair(
    backbone: CLIPBackbone,
    image: NDArray[np.uint8],
    words: str,
    *,
    against: Sequence[str] = (),
    short_side: int | None = None,
) -> Pair:
    """Run both towers.

    Args:
        backbone: A loaded CLIP.
        image: (H, W, 3) uint8.
        words: The sentence.
        against: Sentences to subtract.
        short_side: Input short side in pixels, aspect kept; what the tower was trained at if
            ``None``.

    Raises:
        InputError: If a sentence is blank, or the checkpoint's text tower is not CLIP's.
    """
    check_text_tower(backbone)
    with torch.no_grad():
        batch = backbone.to_batch([input_tensor(backbone, image, short_side)]).float()
        trace = backbone.vit.trace(batch)
        feature = F.normalize(backbone.vit.pool(trace)[0].float(), dim=0)
        sides = [_text_side(backbone, text) for text in (words, *against)]
        text, others = sides[0], tuple(sides[1:])
        direction = text.feature
        if others:
            direction = direction - torch.stack([side.feature for side in others]).mean(0)
    return Pair(backbone, trace, feature, text, others, direction)


def input_tensor(
    backbone: CLIPBackbone, image: NDArray[np.uint8], short_side: int | None = None
) -> Tensor:
    """(3, h, w) of a picture: resized with its aspect, normalised."""
    size = input_size(backbone, (image.shape[0], image.shape[1]), short_side)
    return backbone.preprocess.to_tensor(backbone.preprocess.resize(image, size))


def input_size(backbone: CLIPBackbone, size: Size, short_side: int | None) -> Size:
    """(h, w) at which a picture of (H, W) pixels is explained."""
    side = short_side or min(backbone.image_size)
    return fit_short_side(size, side, backbone.patch_size, LONGEST_RATIO * side)


def check_text_tower(backbone: CLIPBackbone) -> None:
    """Refuse text towers that cannot be taken apart.

    Raises:
        InputError: If the text tower is not a causal one that pools the end of text.
    """
    if not is_causal(backbone.model):
        raise InputError(
            f"explanations need CLIP's own causal text tower, which {backbone.name} does not "
            "have: choose another checkpoint"
        )
    if backbone.dtype != torch.float32:
        raise InputError(
            f"explanations need gradients in fp32, but the model runs in {backbone.dtype}: load "
            "it with the precision fp32"
        )


def _text_side(backbone: CLIPBackbone, text: str) -> TextSide:
    sentence = read_sentence(backbone, text)
    x = embed_tokens(backbone.model, sentence.ids.to(backbone.device))
    entering = [x]
    for block in text_blocks(backbone.model):
        entering.append(run_text_block(block, entering[-1]))
    end = torch.tensor([x.shape[1] - 1], device=x.device)
    feature = pool_tokens(backbone.model, entering[-1], end)[0]
    return TextSide(sentence, tuple(entering), F.normalize(feature.float(), dim=0))
