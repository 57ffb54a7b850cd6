"""Teach a CLIP's image tower to read an alpha channel, from regions with words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dense.backbones import CLIPBackbone, DenseViT
from dense.errors import InputError
from dense.methods.looking.alpha_clip import MEAN, STD, alpha_tower
from dense.training.losses import contrastive, cosine_regression
from dense.training.region_phrases import AlphaSample
from dense.training.student import autocast, check_precision
from dense.training.text_table import TextTable


@dataclass(frozen=True)
class AlphaSettings:
    """What a step costs and sees.

    Attributes:
        start: First block that learns; 0 trains the whole tower, as the authors do.
        whole: Weight of the loss on pictures whose alpha is full.
        precision: ``"fp32"`` or ``"bf16"``.
    """

    start: int = 0
    whole: float = 1.0
    precision: str = "fp32"

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if self.start < 0 or self.whole < 0:
            raise InputError(
                f"start and whole must be 0 or more, got {self.start} and {self.whole}"
            )


DEFAULT = AlphaSettings()


class AlphaTraining(nn.Module):
    """Alpha-CLIP's training (Sun et al., CVPR 2024): regions against their words, contrastively.

    Where it differs: equal words of a batch share the weight, so class names can teach, too;
    pictures with a full alpha channel must keep the plain tower's feature (the authors show them
    with captions); pictures are squashed, not padded; no label smoothing.

    Args:
        backbone: The CLIP; its text tower and, as the teacher, its image tower stay as they are.
        texts: Features of all words of the data.
        settings: See `AlphaSettings`.
    """

    def __init__(
        self, backbone: CLIPBackbone, texts: TextTable, settings: AlphaSettings = DEFAULT
    ) -> None:
        super().__init__()
        blocks = backbone.vit.num_blocks
        if settings.start > blocks:
            raise InputError(f"the tower has {blocks} blocks, cannot start at {settings.start}")
        self.settings = settings
        self.texts = texts
        self.vit = alpha_tower(backbone)
        for name, parameter in self.vit.tower.visual.named_parameters():
            parameter.requires_grad_(_learns(name, settings.start))
        self._frozen = (copy.deepcopy(backbone).requires_grad_(False).eval(),)

    @property
    def backbone(self) -> CLIPBackbone:
        """The CLIP as it was, on the student's device; it is no part of checkpoints."""
        return self._frozen[0].to(next(self.vit.parameters()).device)

    def predict(self, samples: Sequence[AlphaSample]) -> list[Tensor]:
        """Features (D,) of samples, for curves of one's own."""
        return list(self._encode(samples).detach())

    def loss(self, samples: Sequence[AlphaSample]) -> dict[str, Tensor]:
        """`loss_words` of regions and `loss_whole` of pictures with a full alpha channel."""
        features = self._encode(samples)
        whole = torch.tensor([sample.whole for sample in samples], device=features.device)
        found = {"loss_words": features.sum() * 0.0, "loss_whole": features.sum() * 0.0}
        if int((~whole).sum()) > 1:
            words = self.texts([sample.text for sample in samples if not sample.whole])
            scale = features.new_tensor(self.backbone.logit_scale)
            unit = F.normalize(features[~whole], dim=-1)
            found["loss_words"] = contrastive(unit, words.to(unit), scale)
        if bool(whole.any()):
            plain = self._batch([sample for sample in samples if sample.whole])[:, :3]
            with torch.no_grad():
                wanted = self.backbone.vit.encode_image(plain).float()
            value = cosine_regression(features[whole], wanted)
            found["loss_whole"] = self.settings.whole * value
        return found

    def finished(self) -> DenseViT:
        """The tower as it is to be used."""
        return copy.deepcopy(self.vit).eval()

    def describe(self) -> dict[str, object]:
        """Protocol card."""
        return {"method": "alpha-clip training", **asdict(self.settings)}

    def _encode(self, samples: Sequence[AlphaSample]) -> Tensor:
        batch = self._batch(samples)
        with autocast(batch.device, self.settings.precision):
            return self.vit.encode_image(batch).float()

    def _batch(self, samples: Sequence[AlphaSample]) -> Tensor:
        """(B, 4, s, s) preprocessed, on the student's device."""
        preprocess = self.backbone.preprocess
        colours = torch.stack([preprocess.to_tensor(sample.image) for sample in samples])
        alpha = torch.from_numpy(np.stack([sample.alpha for sample in samples]))[:, None]
        batch = torch.cat([colours, (alpha - MEAN) / STD], 1)
        return batch.to(next(self.vit.parameters()).device)


def _learns(name: str, start: int) -> bool:
    """Whether a parameter of open_clip's tower learns when blocks from `start` on do."""
    if start == 0 or name.startswith(("conv1.alpha", "ln_post", "proj")):
        return True
    parts = name.split(".")
    return parts[:2] == ["transformer", "resblocks"] and int(parts[2]) >= start
