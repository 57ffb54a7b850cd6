"""What the stored outputs of FALIP's and Alpha-CLIP's authors were computed on."""

from __future__ import annotations

import copy

import numpy as np
import torch

from dense.backbones import CLIPBackbone
from dense.backbones.loading import build_model
from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.vit import DenseViT
from dense.methods.looking.alpha_clip import alpha_tower
from tests.helpers import TINY, fill_by_formula, photo

import open_clip  # isort: skip

BOXES = [[3.0, 4.0, 20.0, 30.0], [1.0, 1.0, 39.0, 35.0], [0.0, 0.0, 40.0, 36.0]]
"""None of them ends on the border of a patch; see `dense.methods.looking.foveal`."""


def falip_backbone() -> CLIPBackbone:
    """Twelve blocks, so that the last third is four."""
    config = copy.deepcopy(TINY)
    config["vision_cfg"]["layers"] = 12  # type: ignore[index]
    model = build_model(config)
    fill_by_formula(model, scale=0.8)
    return CLIPBackbone(model, open_clip.SimpleTokenizer(), PreprocessConfig(), name="12").eval()


def falip_picture() -> np.ndarray:
    return photo(36, 40)


def alpha_vit(backbone: CLIPBackbone) -> DenseViT:
    """An alpha channel that does something."""
    vit = alpha_tower(backbone)
    weight = vit.tower.visual.conv1.alpha.weight
    with torch.no_grad():
        weight.copy_(torch.sin(torch.arange(weight.numel()).float()).view_as(weight) * 0.1)
    return vit


def alpha_picture() -> tuple[np.ndarray, np.ndarray]:
    """(32, 32, 3) and a mask (32, 32)."""
    mask = np.zeros((32, 32), bool)
    mask[4:20, 8:30] = True
    return photo(32, 32), mask
