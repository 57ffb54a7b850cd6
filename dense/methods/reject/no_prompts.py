"""CLIPN: every class has a denial, by "no" prompts on any CLIP or by CLIPN's learned encoder.

Wang et al., "CLIPN for Zero-Shot OOD Detection: Teaching CLIP to Say No", ICCV 2023,
arXiv:2308.12213. The prompt variant is a stand-in: a CLIP that was not taught to deny barely reads
a "without", so expect little of it. With `weights` the text tower that CLIPN trained is used.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch
from open_clip.model import CLIP
from torch import Tensor
from torch.nn import functional as F

from dense.backbones import CLIPBackbone
from dense.backbones.weights import StateDict, read_checkpoint
from dense.errors import InputError, unknown_name
from dense.heads.outliers import agreeing_to_differ, competing_to_win
from dense.methods.reject.base import Foreignness, Rejector
from dense.prompts import fill
from dense.structures import TextClassifier

Rule = Literal["ctw", "atd"]
DENIALS = (
    "a photo without a {}.",
    "a photo with no {}.",
    "a photo of something else than a {}.",
    "a photo that does not show a {}.",
    "this is not a photo of a {}.",
)


class NoPromptsRejector(Rejector):
    """How much the classes are denied.

    Args:
        backbone: A loaded CLIP.
        classes: Words for what is known.
        rule: ``"atd"`` (agreeing to differ) or ``"ctw"`` (competing to win).
        denier: CLIPN's learned text tower, from `learned_no_encoder`; prompts of denial if
            ``None``.
        accept: See `Rejector`.
        threshold: See `Rejector`.

    Raises:
        InputError: If the rule is unknown.
    """

    needs_known = False

    def __init__(
        self,
        backbone: CLIPBackbone,
        classes: Sequence[str] = (),
        *,
        rule: Rule = "atd",
        denier: CLIPBackbone | None = None,
        accept: float = 0.95,
        threshold: float | None = None,
    ) -> None:
        rules = {"ctw": competing_to_win, "atd": agreeing_to_differ}
        if rule not in rules:
            raise unknown_name("rule", rule, rules)
        super().__init__(backbone, classes, accept=accept, threshold=threshold)
        self.rule = rules[rule]
        self.denier = denier
        self.name = f"{'CLIPN' if denier else 'no prompts'}, {rule}"

    def learn(self, features: Tensor, labels: Tensor) -> Foreignness:
        """Needs the classes alone."""
        denials = self.denials()
        return lambda x: self.rule(self.logits(x), self.logits(x, denials))

    def denials(self) -> TextClassifier:
        """Classifier whose weights deny the classes."""
        text = self.classifier()
        if self.denier is not None:
            from dense.classifier import build_text_classifier

            learned = build_text_classifier(
                self.denier, list(self.classes), templates=self.templates
            )
            return replace(learned, logit_scale=text.logit_scale)
        phrases = [word.strip() for entry in self.classes for word in entry.split(";")]
        rows = [
            F.normalize(self.backbone.encode_text(fill(DENIALS, phrase)).mean(0), dim=0)
            for phrase in phrases
            if phrase
        ]
        return replace(text, weights=torch.stack(rows).to(text.weights))


def learned_no_encoder(backbone: CLIPBackbone, path: str | Path) -> CLIPBackbone:
    """A copy of the backbone whose text tower is the "no" encoder of a CLIPN checkpoint.

    CLIPN keeps the second tower under names ending in ``_no`` and adds the mean of its learned
    prompts to every position, which is the same as a changed table of positions.

    Args:
        backbone: The CLIP that CLIPN was trained on; its image tower must be CLIPN's.
        path: The authors' checkpoint.

    Raises:
        InputError: If the file is no CLIPN checkpoint or belongs to another model.
    """
    if not isinstance(backbone.model, CLIP):
        raise InputError("CLIPN's encoder fits plain CLIP models of open_clip alone, e.g. ViT-B-16")
    state = read_checkpoint(path).state
    image = backbone.model.state_dict().get("visual.proj")
    theirs = state.get("visual.proj")
    if (
        theirs is not None
        and image is not None
        and (
            theirs.shape != image.shape
            or not torch.allclose(theirs, image.float().cpu(), atol=1e-3)
        )
    ):
        raise InputError(f"{path} was trained with another image tower: load the CLIP it builds on")
    model = copy.deepcopy(backbone.model)
    model.load_state_dict({**model.state_dict(), **_no_tower(state, model, path)})
    return CLIPBackbone(
        model, backbone.tokenizer, backbone.preprocess, name=f"{backbone.name} no"
    ).eval()


def _no_tower(state: StateDict, model: CLIP, path: str | Path) -> StateDict:
    """CLIPN's names → open_clip's."""
    tower = {}
    for key, value in model.state_dict().items():
        head, _, rest = key.partition(".")
        if head in ("visual", "logit_scale", "logit_bias"):
            continue
        name = f"{head}_no.{rest}" if rest else f"{head}_no"
        if name not in state or state[name].shape != value.shape:
            raise InputError(
                f"{path} is not a CLIPN checkpoint of this model: {name} is missing or has "
                "another shape"
            )
        tower[key] = state[name]
    if "prompt_no" not in state:
        raise InputError(f"{path} is not a CLIPN checkpoint of this model: prompt_no is missing")
    tower["positional_embedding"] = tower["positional_embedding"] + state["prompt_no"].mean(0)
    return tower


def build(
    backbone: CLIPBackbone,
    classes: Sequence[str] = (),
    *,
    accept: float = 0.95,
    threshold: float | None = None,
    weights: str | Path | None = None,
) -> NoPromptsRejector:
    """Catalogue entry: the rule that the paper finds better, ATD."""
    denier = None if weights is None else learned_no_encoder(backbone, weights)
    return NoPromptsRejector(backbone, classes, denier=denier, accept=accept, threshold=threshold)
