"""DINO, DINOv2 and any other Vision Transformer of timm as a provider."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models.vision_transformer import VisionTransformer, checkpoint_filter_fn
from torch import Tensor
from torch.nn import functional as F

from dense.backbones.blocks import as_block
from dense.backbones.preprocess import PreprocessConfig
from dense.backbones.trace import Trace
from dense.backbones.vit import DenseViT
from dense.errors import InputError
from dense.providers.base import PixelProvider, View
from dense.structures import Size
from dense.untrusted import read_safetensors, read_torch, state_dict

NAMES = {
    "dino-s16": "vit_small_patch16_224.dino",
    "dino-s8": "vit_small_patch8_224.dino",
    "dino-b16": "vit_base_patch16_224.dino",
    "dino-b8": "vit_base_patch8_224.dino",
    "dinov2-s14": "vit_small_patch14_dinov2.lvd142m",
    "dinov2-b14": "vit_base_patch14_dinov2.lvd142m",
    "dinov2-b14-reg": "vit_base_patch14_reg4_dinov2.lvd142m",
    "dinov2-l14": "vit_large_patch14_dinov2.lvd142m",
}
"""Short names of timm's models."""


class TimmProvider(PixelProvider):
    """A timm Vision Transformer on the same pictures.

    Pictures are resized so that the network's patches tile CLIP's grid a whole number of times in
    each direction (once for patches of like size, twice for DINO/8 beside CLIP/16). ProxyCLIP and
    its successors pad with black to a common multiple of both patches instead.

    Args:
        name: For the card.
        model: The network; it is frozen here.
        source: How the CLIP's pictures are normalised.
    """

    def __init__(self, name: str, model: VisionTransformer, source: PreprocessConfig) -> None:
        tuned: Any = model.pretrained_cfg  # nn.Module hides the types of its attributes
        mean, std = (tuple(tuned[key]) for key in ("mean", "std"))
        super().__init__(name, source, PreprocessConfig(mean, std, "bicubic"))
        self.model = model.eval().requires_grad_(False)
        self.patch_size: Size = tuple(model.patch_embed.patch_size)

    @torch.no_grad()
    def look(self, vit: DenseViT, trace: Trace) -> View:
        """Normalised features of the last block, and its projections. See the base class."""
        images = self._resize(self.pictures(trace), vit.patch_size, trace.layout.grid)
        model: Any = self.model
        grid = (images.shape[-2] // self.patch_size[0], images.shape[-1] // self.patch_size[1])
        x = model.norm_pre(model._pos_embed(model.patch_embed(images)))
        for block in model.blocks[:-1]:
            x = block(x)
        q, k, v = as_block(model.blocks[-1]).qkv(x)
        x = model.norm(model.blocks[-1](x))
        inside = torch.arange(model.num_prefix_tokens, x.shape[1], device=x.device)
        return View(x[:, inside].transpose(1, 2).unflatten(2, grid), q, k, v, inside)

    def _resize(self, images: Tensor, patch: Size, grid: Size) -> Tensor:
        """(B, 3, h, w) → a size whose patches tile CLIP's grid."""
        rows, columns = (
            max(1, round(theirs / own)) * count * own
            for theirs, own, count in zip(patch, self.patch_size, grid, strict=True)
        )
        if images.shape[-2:] == (rows, columns):
            return images
        return F.interpolate(images, (rows, columns), mode="bicubic", antialias=True)


def load_vit(name: str, weights: str | None) -> VisionTransformer:
    """Make a network of timm.

    Args:
        name: One of `NAMES`, or timm's own name.
        weights: A local file (.safetensors, .pth); ``None`` downloads timm's.

    Raises:
        InputError: If timm does not know it, it is not a Vision Transformer, or its weights cannot
            be had or do not fit.
    """
    full = NAMES.get(name, name)
    if not timm.is_model(full.partition(".")[0]):
        raise InputError(f"timm has no model {full!r}; known short names are {', '.join(NAMES)}")
    options: dict[str, Any] = {"num_classes": 0, "dynamic_img_size": True}
    try:
        model = timm.create_model(full, pretrained=weights is None, **options)
    except Exception as error:  # hub clients raise many kinds without a common base
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"cannot get {full} ({reason}): it must be a Vision Transformer, and without network "
            "its weights must be a local file (setting provider_weights)"
        ) from error
    if not isinstance(model, VisionTransformer):
        raise InputError(f"{full} is a {type(model).__name__}, not a plain Vision Transformer")
    if weights is not None:
        fill(model, weights)
    return model


def fill(model: VisionTransformer, path: str) -> None:
    """Load weights from a file, also those of the DINO authors; a classifier in it is left out.

    Raises:
        InputError: If the file is missing, corrupt, unsafe or of another network.
    """
    state = {k: v for k, v in read_tensors(path).items() if not k.startswith(("head.", "fc."))}
    state = checkpoint_filter_fn(state, model)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path} does not fit the network it was given for: {reason}") from error


def read_tensors(path: str) -> Mapping[str, Tensor]:
    """A state dict from .safetensors or from a file of torch.save, which may not hold code.

    Raises:
        InputError: If it is missing, corrupt or unsafe.
    """
    if Path(path).suffix == ".safetensors":
        return read_safetensors(path)[0]
    return state_dict(read_torch(path), path)
