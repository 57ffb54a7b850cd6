"""The state losses: intact and damaged things, for patches, class tokens and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn

from dense.backbones import DenseViT
from dense.datasets.defects import KINDS
from dense.training import state_losses
from dense.training.items import PairItem, WindowTokens, stacked
from dense.training.student import keep_patches, run_suffix
from dense.training.text_table import StateTable

GENERIC = (
    "surface", "object", "material", "texture", "part", "product", "item", "component", "sample",
    "piece", "industrial part", "thing",
)  # fmt: skip
"""General words that stand for any inspected thing."""


@dataclass(frozen=True)
class StateWeights:
    """Weights of the parts of the state loss.

    Attributes:
        patch: Binary cross entropy of patches.
        token: Binary cross entropy of the class token.
        ranking: The damaged twin must score above the intact one.
        typed: The kind of damage, on defective patches.
        window: Binary cross entropy of windows' class tokens; 0 leaves windows out.
        own_name: Probability that a thing is called by its name, not by a general word.
    """

    patch: float = 1.0
    token: float = 0.7
    ranking: float = 0.3
    typed: float = 0.075
    window: float = 0.0
    own_name: float = 0.5


DEFAULT = StateWeights()


class StateTerms(nn.Module):
    """Binary and typed losses against phrases for intact and damaged things.

    Args:
        table: Text features of the states.
        weights: Of the parts.
        keep: Patches that are kept, damaged ones first; ``None`` keeps all.
    """

    def __init__(
        self, table: StateTable, weights: StateWeights = DEFAULT, *, keep: int | None = None
    ) -> None:
        super().__init__()
        self.table = table
        self.weights = weights
        self.keep = keep
        self.log_scale = nn.Parameter(torch.tensor(math.log(15.0)))

    def forward(
        self,
        vit: DenseViT,
        tokens: Tensor,
        pairs: Sequence[PairItem],
        start: int,
        generator: Generator,
        precision: str,
    ) -> dict[str, Tensor]:
        """Losses of pairs on one grid.

        Args:
            vit: The tower.
            tokens: (2 P, T, C): intact and damaged in turn.
            pairs: P pairs.
            start: Number of blocks that have run.
            generator: Of the draws.
            precision: Of the blocks.
        """
        coverage = torch.stack([pair.coverage for pair in pairs]).to(tokens.device)
        chosen = self._choose(coverage, generator)
        kept = keep_patches(tokens, chosen.repeat_interleave(2, 0), vit.tower.prefix)
        out = run_suffix(vit, kept, start, precision=precision)
        names = self._names(pairs, generator)
        states = self.table(names, generator=generator)
        both, scale, w = states.repeat_interleave(2, 0), self.log_scale.exp(), self.weights
        patch = state_losses.state_logits(out.patches, both, scale, 0.0)
        token = state_losses.state_logits(out.class_token, both, scale, 0.0)
        seen = coverage.gather(1, chosen)
        anomalous = torch.tensor([0.0, 1.0], device=token.device).repeat(len(pairs))
        found = {
            "loss_state_patch": w.patch * state_losses.patch_state_loss(patch, _with_intact(seen)),
            "loss_state_token": w.token * state_losses.state_loss(token, anomalous),
            "loss_state_ranking": w.ranking * state_losses.pair_ranking(token[0::2], token[1::2]),
        }
        if w.typed:
            phrases = torch.cat([self.table.kinds_of(names), states[:, :1]], dim=1)
            labels = torch.tensor([KINDS.index(pair.kind) for pair in pairs], device=token.device)
            typed = state_losses.typed_state_loss(out.patches[1::2], phrases, scale, labels, seen)
            found["loss_state_typed"] = w.typed * typed
        if w.window and all(pair.windows for pair in pairs):
            for size in zip(*(pair.windows for pair in pairs), strict=True):
                value = self._windows(vit, size, start, both, scale, precision)
                found[f"loss_state_window_{size[0].tokens.shape[2]}"] = w.window * value
        return found

    def _choose(self, coverage: Tensor, generator: Generator) -> Tensor:
        """(P, keep) patch indices: random, damaged ones more likely."""
        draw = torch.rand(coverage.shape, generator=generator).to(coverage.device)
        order = (draw + 0.6 * (coverage > 0.02)).argsort(1, descending=True)
        return order if self.keep is None else order[:, : self.keep]

    def _names(self, pairs: Sequence[PairItem], generator: Generator) -> list[str]:
        names = []
        for pair in pairs:
            own = float(torch.rand((), generator=generator)) < self.weights.own_name
            other = int(torch.randint(len(GENERIC), (), generator=generator))
            names.append(pair.name if own else GENERIC[other])
        return names

    def _windows(
        self,
        vit: DenseViT,
        windows: Sequence[WindowTokens],
        start: int,
        states: Tensor,
        scale: Tensor,
        precision: str,
    ) -> Tensor:
        """Loss of the class tokens of windows of one size."""
        tokens = stacked([window.tokens for window in windows])
        coverage = stacked([window.coverage for window in windows])
        if tokens is None or coverage is None:
            return scale.new_zeros(())
        flat = tokens.to(states.device).flatten(0, 2)
        features = run_suffix(vit, flat, start, precision=precision).class_token
        features = features.unflatten(0, (2 * len(windows), -1))
        logits = state_losses.state_logits(features, states, scale, 0.0)
        return state_losses.window_state_loss(logits, _with_intact(coverage.to(states.device)))


def _with_intact(coverage: Tensor) -> Tensor:
    """(P, K) of the damaged → (2 P, K), intact twins in turn with zeros."""
    return torch.stack([torch.zeros_like(coverage), coverage], dim=1).flatten(0, 1)
