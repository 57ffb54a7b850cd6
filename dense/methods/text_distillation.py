"""Teach a CLIP text tower what a sentence encoder says of phrases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.text import encode_tokens
from dense.training import losses
from dense.training.student import autocast, check_precision, train_only


@dataclass(frozen=True)
class Phrase:
    """A phrase with what the teacher says of it.

    Attributes:
        tokens: (L,) int64 of the student's tokenizer.
        target: (D,) unit embedding in the joint space.
    """

    tokens: Tensor
    target: Tensor


class TextDistillation(nn.Module):
    """Regression of a text tower onto target embeddings.

    Cosine distance pins every phrase to its place; the relational term keeps neighbours apart
    (feature distillation as in CLIP-KD, Yang et al. 2024, section 3.2; relations as in Park et
    al. 2019). The image tower stays as it is.

    Args:
        backbone: The CLIP whose text tower learns.
        cosine: Weight of the cosine distance.
        relational: Weight of the relational term.
        table: Whether the token table learns. A well initialised one needs a small rate at most,
            so that words which no phrase contains keep a sensible place.
        precision: ``"fp32"`` or ``"bf16"`` (autocast).
    """

    def __init__(
        self,
        backbone: CLIPBackbone,
        *,
        cosine: float = 4.0,
        relational: float = 0.1,
        table: bool = False,
        precision: str = "fp32",
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.cosine = cosine
        self.relational = relational
        self.precision = check_precision(precision)
        train_only(backbone, start=None, text=True)
        if not table:
            backbone.model.token_embedding.requires_grad_(False)

    def loss(self, samples: Sequence[Phrase]) -> dict[str, Tensor]:
        """Losses of a batch of phrases; `cosine` is the mean agreement, for the log."""
        device = self.backbone.device
        tokens = torch.stack([sample.tokens for sample in samples]).to(device)
        target = torch.stack([sample.target for sample in samples]).to(device).float()
        with autocast(device, self.precision):
            features = encode_tokens(self.backbone.model, tokens)
        features = F.normalize(features.float(), dim=-1)
        return {
            "loss_cosine": self.cosine * losses.cosine_regression(features, target),
            "loss_relational": self.relational * losses.relational(features, target),
            "cosine": (features.detach() * target).sum(-1).mean(),
        }

    @torch.no_grad()
    def agreement(self, phrases: Sequence[str], targets: Tensor) -> float:
        """Mean cosine of phrases (P) to their targets (P, D): the measure for held-out words."""
        features = self.backbone.encode_text(phrases)
        return float((features.cpu() * targets.float().cpu()).sum(-1).mean())

    def finished(self) -> CLIPBackbone:
        """The CLIP as it is to be used."""
        return self.backbone

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        return {
            "method": "text distillation",
            "cosine": self.cosine,
            "relational": self.relational,
            "precision": self.precision,
        }
