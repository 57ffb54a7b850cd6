"""Prompt ensembles of the trained methods, and the prototypes made of them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.prompts import INSPECTION_TEMPLATES, NORMAL_STATES, fill

_ARTICLES = ("a", "the")
_LOOKS = (
    "bad",
    "low resolution",
    "cropped",
    "bright",
    "dark",
    "close-up",
    "black and white",
    "jpeg corrupted",
    "blurry",
    "good",
)
_SORTS = ("cool", "large", "small")


def _photo_templates() -> tuple[str, ...]:
    looks = [f"a {look} photo of {article} {{}}." for look in _LOOKS for article in _ARTICLES]
    sorts = [f"a photo of {article} {sort} {{}}." for sort in _SORTS for article in _ARTICLES]
    plain = [f"a photo of {word} {{}}." for word in ("a", "the", "my", "one")]
    there = [f"there is {article} {{}} in the scene." for article in _ARTICLES]
    this = [f"this is {word} {{}} in the scene." for word in ("a", "the", "one")]
    return (*looks, *sorts, *plain, *there, *this)


@dataclass(frozen=True)
class StateEnsemble:
    """Phrases for both states, and the sentences they are put in."""

    normal: tuple[str, ...]
    anomalous: tuple[str, ...]
    templates: tuple[str, ...]

    def prompts(self, product: str) -> tuple[list[str], list[str]]:
        """Normal and anomalous prompts of a product; underscores become spaces."""
        words = " ".join(product.replace("_", " ").split())
        normal, anomalous = (
            [p for state in fill(states, words) for p in fill(self.templates, state)]
            for states in (self.normal, self.anomalous)
        )
        return normal, anomalous


_BROKEN = ("damaged {}", "broken {}", "{} with flaw", "{} with defect", "{} with damage")
APRIL_GAN = StateEnsemble(NORMAL_STATES, _BROKEN, _photo_templates())
"""7 and 5 states in 35 templates (Chen et al. 2023, section 3.1)."""

ADACLIP = StateEnsemble(
    NORMAL_STATES,
    _BROKEN,
    (
        "a bad photo of a {}.",
        "a low resolution photo of the {}.",
        "a bad photo of the {}.",
        "a cropped photo of the {}.",
    ),
)
"""7 and 5 states in 4 templates (Cao et al. 2024; the number is that of the published code)."""

_FAULTS = ("flaw", "defect", "damage", "scratch", "crack", "contamination")
CLIP_AD = StateEnsemble(
    ("flawless {}", "perfect {}", "unblemished {}", *(f"{{}} without {f}" for f in _FAULTS)),
    (
        *(f"{word} {{}}" for word in ("damaged", "imperfect", "blemished", "broken")),
        *(f"{{}} with {fault}" for fault in _FAULTS),
    ),
    INSPECTION_TEMPLATES,
)
"""9 and 10 states in WinCLIP's 22 templates (Chen et al. 2024, appendix)."""


def mean_prototypes(backbone: CLIPBackbone, product: str, ensemble: StateEnsemble) -> Tensor:
    """(2, D) unit rows: the mean of the unit features of all prompts of a state."""
    means = [backbone.encode_text(prompts).mean(0) for prompts in ensemble.prompts(product)]
    return F.normalize(torch.stack(means), dim=-1)
