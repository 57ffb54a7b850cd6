"""Two remedies against shortcuts: by a patch's surroundings and by the frequency of labels."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Generator, Tensor, nn

from dense.backbones import DenseViT
from dense.training.student import Outputs, run_suffix


def run_mixed(
    vit: DenseViT, tokens: Tensor, start: int, generator: Generator, *, values: bool, precision: str
) -> Outputs:
    """Run pictures whose patches were half exchanged with another picture of the batch.

    A patch must then be recognised by itself and not by its surroundings: CutMix (Yun et al.
    2019) on single tokens, with targets that stay with their patches. The outputs are put back to
    the pictures they came from; class tokens saw two pictures and mean nothing.

    Args:
        vit: The tower.
        tokens: (B, T, C) after `start` blocks.
        start: Number of blocks that have run.
        generator: Of the exchange.
        values: Also follow the value path.
        precision: Of the blocks.
    """
    batch, count, prefix = len(tokens), tokens.shape[1], vit.tower.prefix
    partner = torch.randperm(batch, generator=generator)
    half = torch.randperm(count - prefix, generator=generator) % 2 == 0
    moved = torch.cat([torch.zeros(prefix, dtype=torch.bool), half]).to(tokens.device)
    owner = partner.argsort().to(tokens.device)
    mixed = torch.where(moved[None, :, None], tokens[partner.to(tokens.device)], tokens)
    out = run_suffix(vit, mixed, start, values=values, precision=precision)

    def back(rows: Tensor, mask: Tensor) -> Tensor:
        return torch.where(mask[None, :, None], rows[owner], rows)

    own = moved[prefix:]
    return replace(
        out,
        patches=back(out.patches, own),
        values=None if out.values is None else back(out.values, own),
        features=back(out.features, moved),
    )


class LabelPrior(nn.Module):
    """How often each label is meant, learned on the way, for logit adjustment.

    Its logarithm is added to the logits in training alone, so that frequent labels need not be
    preferred by the embedding itself (Menon et al. 2021, "Long-tail learning via logit
    adjustment").

    Args:
        labels: K.
        memory: Batches that the running mean looks back on.
    """

    share: Tensor
    seen: Tensor

    def __init__(self, labels: int, *, memory: int = 200) -> None:
        super().__init__()
        self.memory = memory
        self.register_buffer("share", torch.full((labels,), 1 / labels))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def update(self, probabilities: Tensor) -> None:
        """Take in the labels of a batch, (..., K) of any scale."""
        total = probabilities.float().flatten(0, -2).sum(0)
        if float(total.sum()) <= 0:
            return
        self.seen += 1
        rate = max(1 / int(self.seen), 1 / self.memory)
        self.share.lerp_(total / total.sum(), rate)

    def log(self) -> Tensor:
        """(K,) logarithm, with a floor of a tenth of an even share."""
        return (self.share + 0.1 / len(self.share)).log()
