"""Made-up files in the layout of what the authors publish."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from dense.backbones import CLIPBackbone
from dense.backbones.preprocess import PreprocessConfig
from tests.reference import learned_inputs as made

import open_clip  # isort: skip


def backbone(*, quick_gelu: bool = True) -> CLIPBackbone:
    """The tower of the stored reference outputs."""
    tokenizer = open_clip.SimpleTokenizer(context_length=77)
    model = made.model(quick_gelu=quick_gelu)
    return CLIPBackbone(model, tokenizer, PreprocessConfig(), name="reference").eval()


def anomalyclip_file(path: Path, state: Mapping[str, Tensor] | None = None) -> Path:
    """`epoch_15.pth`: every key of the authors' prompt learner."""
    own = dict(made.anomalyclip_published() if state is None else state)
    width = own["ctx_pos"].shape[-1]
    for number in range(3):
        own[f"compound_prompt_projections.{number}.weight"] = torch.zeros(896, width)
        own[f"compound_prompt_projections.{number}.bias"] = torch.zeros(896)
    for side in ("pos", "neg"):
        own[f"token_prefix_{side}"] = torch.zeros(1, 1, 1, width)
        own[f"token_suffix_{side}"] = torch.zeros(1, 1, 64, width)
        own[f"tokenized_prompts_{side}"] = torch.zeros(1, 1, 77, dtype=torch.int32)
    torch.save({"prompt_learner": own}, path)
    return path


def april_gan_file(path: Path, entry: str = "trainable_linearlayer") -> Path:
    """`mvtec_pretrained.pth`; CLIP-AD's has the entry ``linear_layers``."""
    torch.save({entry: made.april_gan_published()}, path)
    return path


def adaclip_file(path: Path, state: Mapping[str, Tensor] | None = None) -> Path:
    """`pretrained_mvtec_colondb.pth`."""
    torch.save(dict(made.adaclip_published() if state is None else state), path)
    return path
