"""M2IB: how much of each token must pass for the match to stay (information bottleneck).

Wang, Rudner and Wilson, "Visual Explanations of Image-Text Representations via Multi-Modal
Information Bottleneck Attribution", NeurIPS 2023, arXiv:2312.17174.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.blocks import run_block
from dense.backbones.depth import blocks_of
from dense.errors import InputError
from dense.explain.base import Attribution, Explainer
from dense.explain.pair import Pair


@dataclass(frozen=True)
class M2IB(Explainer):
    """Noise replaces what the match can spare; the information left in a token is its score.

    One bottleneck an encoder, at the output z of a block: t = λ z + (1 − λ) ε with λ = sigmoid(α)
    of each token and channel and ε standard normal. α minimises β · KL(p(t|z), N(0, 1)) −
    cos(image, text), the mean KL over tokens and channels. A token's score is its KL summed over
    channels, in nats, as in the last step's forward. Image and text are done one after the other,
    the other side intact.

    Differs from the authors' code: the text tower keeps its causal mask (their wrapper of OpenAI's
    model drops it); the noise is seeded; log(1 − λ)² is taken from α, so no value overflows and
    none must be skipped; maps are not rescaled to [0, 1]; with `against` sentences the fitting
    term is the similarity to their difference.

    Attributes:
        layer: Block whose output is squeezed, of a tower of 12, 0-based; other depths: the block
            at the same share. This and the values below are those of the published code and of
            the examples made with it.
        beta: Weight of compression.
        steps: Of Adam.
        rate: Its learning rate.
        start: First value of α.
        samples: Draws of the noise in each step.
        seed: Of the noise.

    Raises:
        InputError: If a setting is impossible.
    """

    name: ClassVar[str] = "m2ib"
    layer: int = 9
    beta: float = 0.1
    steps: int = 10
    rate: float = 1.0
    start: float = 5.0
    samples: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.layer < 12 or self.steps < 1 or self.samples < 1 or self.beta < 0:
            raise InputError(
                "m2ib needs a layer from 0 to 11, 1 or more steps and samples, and beta of 0 or "
                f"more, got {self.layer}, {self.steps}, {self.samples} and {self.beta:g}"
            )

    def attribute(self, pair: Pair) -> Attribution:
        """See the base class."""
        image_block = self._block(len(pair.image_blocks))
        text_block = self._block(len(pair.text_blocks))
        image = self._information(
            _leaving(pair, image_block),
            lambda x: F.normalize(pair.finish_image(x, image_block + 1), dim=-1) @ pair.direction,
        )
        text = self._information(
            pair.text.entering[text_block + 1],
            lambda x: F.normalize(pair.finish_text(x, text_block + 1), dim=-1) @ pair.image_feature,
        )
        layout = pair.layout
        return Attribution(
            image[layout.prefix :].view(layout.grid),
            text[1:-1],
            {"image information": float(image.sum()), "text information": float(text.sum())},
        )

    def _block(self, depth: int) -> int:
        return blocks_of((self.layer + 1) / 12, depth) - 1

    def _information(self, z: Tensor, fit: Callable[[Tensor], Tensor]) -> Tensor:
        """Nats that each token (1, T, C) of `z` lets through after fitting, (T,)."""
        noise = torch.Generator().manual_seed(self.seed)
        alpha = torch.full_like(z, self.start).requires_grad_()
        optimiser = torch.optim.Adam([alpha], lr=self.rate)
        information = torch.zeros_like(z)
        with torch.enable_grad():
            for _ in range(self.steps):
                share = alpha.sigmoid()
                log_spread = F.logsigmoid(-alpha)
                mean = share * z
                information = (mean.square() + (2 * log_spread).exp() - 1) / 2 - log_spread
                drawn = torch.randn((self.samples, *z.shape[1:]), generator=noise).to(z)
                cosine = fit(mean + log_spread.exp() * drawn).mean()
                optimiser.zero_grad()
                (self.beta * information.mean() - cosine).backward(inputs=[alpha])
                optimiser.step()
        return information.detach()[0].sum(-1)


def _leaving(pair: Pair, block: int) -> Tensor:
    """Image tokens (1, T, C) that leave a block."""
    if block + 1 < len(pair.image_blocks):
        return pair.trace.entering[block + 1]
    with torch.no_grad():
        return run_block(pair.image_blocks[block], pair.trace.entering[block])


build = M2IB
