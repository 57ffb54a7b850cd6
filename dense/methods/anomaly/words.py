"""Words on patches: how much more each patch looks abnormal than normal."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.methods.anomaly.patches import Look, PatchSettings, top_mean


@dataclass(frozen=True, kw_only=True)
class WordSettings(PatchSettings):
    """How patch features are compared with words.

    Attributes:
        temperature: Divides cosine similarities to words.
        class_token: Weight of the whole image's own text score in the image score of the words.
    """

    temperature: float = 0.01
    class_token: float = 0.0


def text_logits(look: Look, weights: Tensor, settings: WordSettings) -> tuple[Tensor, float]:
    """Abnormal less normal words: logits of patches (gh, gw), and the picture's score.

    Args:
        look: The picture.
        weights: (2, D) normal and anomalous prototypes.
        settings: Of the comparison; `top` says how many patches make the score.
    """
    difference = (weights[1] - weights[0]).float() / settings.temperature
    unit = F.normalize(look.dense.float(), dim=0)
    logits = look.hide(torch.einsum("dhw,d->hw", unit, difference))
    whole = float(F.normalize(look.class_token.float(), dim=0) @ difference)
    share = settings.class_token
    return logits, (1 - share) * top_mean(logits, settings.top) + share * whole
