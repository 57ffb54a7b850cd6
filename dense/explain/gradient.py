"""CLIP4DM: signed gradient attribution, whose negative words are those that do not fit.

Nam et al., "Extract Free Dense Misalignment from CLIP", AAAI 2025, arXiv:2412.18404.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.blocks import Block
from dense.errors import InputError
from dense.explain.base import Attribution, Explainer, needs_class_token
from dense.explain.pair import Pair

CLIP_SCORE = 2.5
"""Scale of CLIPScore (Hessel et al., EMNLP 2021)."""


@dataclass(frozen=True)
class GradientAttribution(Explainer):
    """Attention times its gradient, negative values kept.

    In each of the last blocks the attention probabilities are multiplied by the gradient of the
    score, averaged over heads, and the blocks averaged; the row of the pooled token says what each
    other token gave. Where Chefer et al. (ICCV 2021) cut negative products off, CLIP4DM keeps
    them: words below `negative` contradict the picture.

    `parts` hold ``clip_score`` = 2.5 max(cos, 0) and ``f_clip_score``, the paper's F-CLIPScore:
    the sum of negative words times 1 − max(cos, 0); 0 is best. (Oh and Hwang, arXiv:2502.20034,
    use the same name for a mean over nouns, which this is not.)

    Differs from the authors' code: fp32; the words stand as given (theirs follow "A photo
    depicts"); the image side, which the paper leaves out, follows the same rule with the class
    token's row; with `against` sentences the image side explains the difference.

    Attributes:
        blocks: How many last blocks count.
        negative: Words below this score contradict the picture, as the authors set it.

    Raises:
        InputError: If there is no block.
    """

    name: ClassVar[str] = "gradient"
    blocks: int = 3
    negative: float = -5e-5

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise InputError(f"gradient needs 1 or more blocks, got {self.blocks}")

    def attribute(self, pair: Pair) -> Attribution:
        """See the base class."""
        needs_class_token(pair, self.name)
        prefix = pair.layout.prefix
        image = self._rows(
            pair.image_blocks,
            pair.trace.entering,
            lambda x: F.normalize(pair.backbone.vit.tower.pool(x)[0], dim=0) @ pair.direction,
            row=0,
            causal=False,
        )
        text = self._rows(
            pair.text_blocks,
            pair.text.entering,
            lambda x: F.normalize(pair.pool_text(x)[0], dim=0) @ pair.image_feature,
            row=pair.text.end,
            causal=True,
        )
        tokens = text[1 : pair.text.end]
        scores = pair.text.sentence.by_word(tokens.cpu().numpy(), mean=True)
        cosine = max(pair.cosine, 0.0)
        negative = float(scores[scores < self.negative].sum())
        parts = {"clip_score": CLIP_SCORE * cosine, "f_clip_score": negative * (1 - cosine)}
        patches = image[prefix:].view(pair.layout.grid)
        return Attribution(patches, tokens, parts, mean_of_tokens=True)

    def _rows(
        self,
        blocks: list[Block],
        entering: tuple[Tensor, ...],
        score: Callable[[Tensor], Tensor],
        *,
        row: int,
        causal: bool,
    ) -> Tensor:
        """What each token (T,) gave to the pooled one."""
        first = max(0, len(blocks) - self.blocks)
        x = entering[first].detach().requires_grad_()
        attentions = []
        with torch.enable_grad():
            for block in blocks[first:]:
                x, attention = visible_block(block, x, causal=causal)
                attentions.append(attention)
            gradients = torch.autograd.grad(score(x), attentions)
        products = [a.detach() * g for a, g in zip(attentions, gradients, strict=True)]
        return torch.stack([product[0].mean(0)[row] for product in products]).mean(0)


def visible_block(block: Block, x: Tensor, *, causal: bool) -> tuple[Tensor, Tensor]:
    """A block as trained, with its attention (B, heads, T, T) as a node of the graph.

    Args:
        block: The block.
        x: (B, T, C).
        causal: No token sees a later one.
    """
    q, k, v = block.qkv(x)
    logits = q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5
    if causal:
        later = torch.ones(logits.shape[-2:], dtype=torch.bool, device=x.device).triu(1)
        logits = logits.masked_fill(later, -torch.inf)
    attention = logits.softmax(-1)
    x = x + block.attention_branch(attention @ v)
    return x + block.feed_forward(x), attention


build = GradientAttribution
