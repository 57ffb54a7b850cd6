"""MaskCLIP, with its two refinements on the patch grid.

Zhou, Loy and Dai, "Extract Free Dense Labels from CLIP", ECCV 2022, arXiv:2112.01071:
the last attention is replaced by its value path; then, optionally, **prompt denoising** drops the
classes that are confident nowhere, and **key smoothing** averages predictions over patches whose
keys agree. Plain MaskCLIP (both off) is the reference point of the family: no patch reads another
in the last block, so features are local but noisy, which later papers mend by self-self attention
and key smoothing mends on the predictions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.attention import last_block
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.heads.pixel import class_probabilities
from dense.methods.segmentation.base import LastBlockMethod, PatchMethod, builder
from dense.structures import TextClassifier

VALUE_PATH = LastBlockMethod(last_block("value"), label="maskclip")
"""Residual and feed-forward stay, as in the authors' code for ViT."""
SMALLEST = 1e-12


@dataclass(frozen=True)
class MaskCLIP(PatchMethod):
    """MaskCLIP (Zhou et al. 2022).

    Where refinement differs from the official code: keys are those of the attention, normalised
    over channels as in the paper (the code for ViT sends them through the output projection, and
    normalises over positions), and opposed keys count as unlike (weight 0, rows summing to 1), so
    that probabilities stay probabilities; a class survives denoising if any of its synonyms is
    confident, and the most confident class always does. With sliding windows both work inside
    each window; the authors use them on whole pictures.

    Attributes:
        key_smoothing: Patches whose largest probability is below this take the key-weighted mean
            of all predictions; 1 smooths everywhere (the authors' setting), 0 nowhere.
        prompt_denoising: Classes whose largest probability in the picture is below are dropped;
            the authors' setting is 0.5, 0 drops none.
    """

    name: ClassVar[str] = "maskclip"
    key_smoothing: float = 0.0
    prompt_denoising: float = 0.0

    def dense(self, vit: DenseViT, trace: Trace) -> Tensor:
        """Features of the value path. See the base class."""
        return VALUE_PATH.dense(vit, trace)

    def similarity(self, vit: DenseViT, trace: Trace, classifier: TextClassifier) -> Tensor:
        """Cosine similarity, denoised, then smoothed. See the base class."""
        similarity = super().similarity(vit, trace, classifier)
        if self.prompt_denoising > 0:
            similarity = denoise_prompts(similarity, classifier, self.prompt_denoising)
        if self.key_smoothing > 0:
            _, keys, _ = vit.tower.blocks[-1].qkv(trace.entering[-1])
            keys = keys[:, :, trace.layout.prefix :].transpose(1, 2).flatten(2)
            similarity = smooth_by_keys(
                similarity, keys, classifier.logit_scale, self.key_smoothing
            )
        return similarity

    def describe(self) -> dict[str, object]:
        """Name and settings, for the protocol card."""
        refinement = {
            "key_smoothing": self.key_smoothing,
            "prompt_denoising": self.prompt_denoising,
        }
        card = VALUE_PATH.describe()
        return card | (refinement if any(refinement.values()) else {})


def denoise_prompts(similarity: Tensor, classifier: TextClassifier, below: float) -> Tensor:
    """Push the classes that are confident nowhere to the lowest similarity.

    Args:
        similarity: (B, P, gh, gw) cosine.
        classifier: The vocabulary and its scale.
        below: A class whose largest probability over the patches is below is dropped.

    Returns:
        (B, P, gh, gw) with −1 for all queries of dropped classes.
    """
    logits = similarity.movedim(1, 0) * classifier.logit_scale
    best = class_probabilities(logits, classifier).amax((-2, -1))
    kept = (best >= below) | (best == best.amax(0, keepdim=True))
    if classifier.class_index is not None:
        kept = kept[classifier.class_index.to(kept.device)]
    return similarity.masked_fill(~kept.T[:, :, None, None], -1.0)


def smooth_by_keys(similarity: Tensor, keys: Tensor, scale: float, below: float) -> Tensor:
    """Average predictions over patches with similar keys (MaskCLIP's key smoothing).

    Args:
        similarity: (B, P, gh, gw) cosine.
        keys: (B, N, C) keys of the last block, heads side by side.
        scale: The logit scale.
        below: Only patches whose largest probability is below are smoothed.

    Returns:
        (B, P, gh, gw) log-probabilities divided by `scale`: the soft-max of `scale` times them
        gives the smoothed probabilities.
    """
    unit = F.normalize(keys.float(), dim=-1)
    weights = (unit @ unit.transpose(1, 2)).clamp(min=0)
    weights = weights / weights.sum(-1, keepdim=True)
    probabilities = (similarity * scale).softmax(1)
    smoothed = torch.einsum("bnm,bpm->bpn", weights, probabilities.flatten(2))
    smoothed = smoothed.view_as(probabilities)
    unsure = probabilities.amax(1, keepdim=True) < below
    return torch.where(unsure, smoothed, probabilities).clamp(min=SMALLEST).log() / scale


def make_refined(key_smoothing: float = 1.0, prompt_denoising: float = 0.5) -> PatchMethod:
    """MaskCLIP with both refinements at the authors' settings."""
    return MaskCLIP(key_smoothing, prompt_denoising)


build = builder(MaskCLIP)
build_refined = builder(make_refined)
