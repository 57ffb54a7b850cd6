"""The state losses: intact and damaged things, for patches, class tokens and windows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from dense.backbones import DenseViT
from dense.datasets.defects import KINDS
from dense.regions import window_indices
from dense.structures import Size
from dense.training import losses
from dense.training.items import PairItem
from dense.training.student import keep_patches, run_suffix, run_windows
from dense.training.text_table import StateTable

GENERIC = ("surface", "object", "material", "texture", "part", "product", "item", "component")


@dataclass(frozen=True)
class StateWeights:
    """Weights of the parts of the state loss.

    Attributes:
        patch: Binary cross entropy of patches.
        token: Binary cross entropy of the class token.
        ranking: The damaged twin must score above the intact one.
        typed: The kind of damage, on defective patches.
        window: Binary cross entropy of windows' class tokens; 0 leaves windows out.
        window_side: Side of these windows in patches.
        own_name: Probability that a thing is called by its name, not by a general word.
    """

    patch: float = 1.0
    token: float = 0.7
    ranking: float = 0.3
    typed: float = 0.15
    window: float = 0.0
    window_side: int = 3
    own_name: float = 0.5


class StateTerms(nn.Module):
    """Binary and typed losses against phrases for intact and damaged things.

    Args:
        table: Text features of the states.
        weights: Of the parts.
        keep: Patches that are kept, damaged ones first; ``None`` keeps all.
    """

    def __init__(
        self,
        table: StateTable,
        weights: StateWeights = StateWeights(),
        *,
        keep: int | None = None,
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
        grid: Size,
        generator: Generator,
        precision: str,
    ) -> dict[str, Tensor]:
        """Losses of pairs.

        Args:
            vit: The tower.
            tokens: (2 P, T, C): intact and damaged in turn.
            pairs: P pairs.
            start: Number of blocks that have run.
            grid: (gh, gw) of the patches.
            generator: Of the draws.
            precision: Of the blocks.
        """
        coverage = torch.stack([pair.coverage for pair in pairs]).to(tokens.device)
        chosen = self._choose(coverage, generator)
        kept = keep_patches(tokens, chosen.repeat_interleave(2, 0), vit.tower.prefix)
        out = run_suffix(vit, kept, start, precision=precision)
        names = self._names(pairs, generator)
        states = self.table(names, generator=generator)
        both = states.repeat_interleave(2, 0)
        scale = self.log_scale.exp()
        patch = losses.state_logits(out.patches, both, scale, 0.0)
        token = losses.state_logits(out.class_token, both, scale, 0.0)
        seen = coverage.gather(1, chosen)
        target = torch.stack([torch.zeros_like(seen), seen], dim=1).flatten(0, 1)
        anomalous = torch.tensor([0.0, 1.0], device=token.device).repeat(len(pairs))
        w = self.weights
        found = {
            "loss_state_patch": w.patch * losses.patch_state_loss(patch, target),
            "loss_state_token": w.token * losses.state_loss(token, anomalous),
            "loss_state_ranking": w.ranking * losses.pair_ranking(token[0::2], token[1::2]),
        }
        if w.typed:
            kinds = [pair.kind for pair in pairs]
            typed = self._typed(out.patches[1::2], names, states, kinds, seen, scale)
            found["loss_state_typed"] = w.typed * typed
        if w.window:
            windows = window_indices(grid, w.window_side).to(tokens.device)
            logits = self._windows(vit, tokens, start, windows, both, scale)
            hit = (coverage[:, windows].mean(-1) > losses.LEAST_COVERAGE).float()
            target = torch.stack([torch.zeros_like(hit), hit], dim=1).flatten(0, 1)
            found["loss_state_window"] = w.window * losses.state_loss(logits, target)
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

    def _typed(
        self,
        patches: Tensor,
        names: Sequence[str],
        states: Tensor,
        kinds: Sequence[str],
        coverage: Tensor,
        scale: Tensor,
    ) -> Tensor:
        phrases = torch.cat([self.table.kinds_of(names), states[:, :1]], dim=1)
        labels = torch.tensor([KINDS.index(kind) for kind in kinds], device=patches.device)
        return losses.typed_state_loss(patches, phrases, scale, labels, coverage)

    def _windows(
        self,
        vit: DenseViT,
        tokens: Tensor,
        start: int,
        windows: Tensor,
        states: Tensor,
        scale: Tensor,
    ) -> Tensor:
        """State logits (2 P, W) of windows."""
        features = F.normalize(run_windows(vit, tokens, start, windows), dim=-1)
        return losses.state_logits(features, states, scale, 0.0)
