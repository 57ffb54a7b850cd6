"""Alpha-CLIP: a fourth input channel says where to look (Sun et al., CVPR 2024, arXiv:2312.03818).

Its patch convolution has a second one beside it for the alpha channel; their outputs are added.
Files hold the image tower alone, by the authors' names: `conv1_alpha.weight` beside `conv1.weight`,
and `attn.in_proj.weight` where open_clip says `attn.in_proj_weight`. What `dense train` writes has
the same names, as safetensors.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor, nn

from dense.backbones import CLIPBackbone, DenseViT
from dense.backbones.towers import OpenClipTower
from dense.errors import InputError
from dense.methods.batching import AT_ONCE, squashed
from dense.methods.looking.base import (
    AskedRegions,
    Looker,
    Picture,
    Setting,
    Views,
    check_settings,
    unit,
)
from dense.outputs import write_bytes
from dense.regions import box_cover, mask_cover
from dense.structures import Size
from dense.untrusted import check_fit, read_safetensors, read_torch, state_dict

MEAN, STD = 0.5, 0.26
"""Normalisation of the alpha channel in the authors' code: 1 inside, 0 outside come before it."""

_NAMES = (("conv1_alpha.", "conv1.alpha."), ("conv1.weight", "conv1.rgb.weight"))


class AlphaConv(nn.Module):
    """The patch convolution of pictures (B, 4, h, w): colours and alpha apart, then added.

    Args:
        rgb: The trained convolution; alpha starts at zero, where the tower is the plain one.
    """

    def __init__(self, rgb: nn.Conv2d) -> None:
        super().__init__()
        self.rgb = rgb
        self.out_channels = rgb.out_channels
        kernel: Size = (rgb.weight.shape[2], rgb.weight.shape[3])
        alpha = nn.Conv2d(1, rgb.out_channels, kernel, kernel, bias=False)
        self.alpha = alpha.to(rgb.weight)
        nn.init.zeros_(self.alpha.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 4, h, w) → (B, C, gh, gw)."""
        return self.rgb(x[:, :3]) + self.alpha(x[:, 3:])


@dataclass(frozen=True)
class AlphaCLIP(Looker):
    """Each region as the alpha channel of the whole picture: its mask, or else its box.

    Pictures are squashed to the tower's size (padded to a square in the authors' training).

    Attributes:
        vit: The tower with the fourth channel.
        label: Where its weights come from, for the card.
    """

    name: ClassVar[str] = "alpha-clip"
    vit: DenseViT
    label: str = ""

    def views(self, backbone: CLIPBackbone, image: Picture, regions: AskedRegions) -> Views:
        """See the base class."""
        (colours,) = squashed(backbone, [image])
        size: Size = (image.shape[0], image.shape[1])
        out: Size = (colours.shape[-2], colours.shape[-1])
        channels = torch.from_numpy(np.stack(alpha_channels(regions, size, out)))
        rows = []
        for some in channels.to(colours).split(AT_ONCE):
            batch = torch.cat([colours.expand(len(some), -1, -1, -1), some[:, None]], 1)
            rows.append(self.vit.encode_image(batch))
        return Views(unit(torch.cat(rows))[:, None])

    def describe(self) -> dict[str, object]:
        """See the base class."""
        return {"method": self.name, "weights": self.label}


def alpha_channels(regions: AskedRegions, size: Size, out: Size) -> list[NDArray[np.float32]]:
    """Normalised alpha (h, w) of each region of a picture (H, W)."""
    if regions.masks is None:
        shares = [box_cover(box, size, out) for box in regions.boxes.tolist()]
    else:
        shares = [mask_cover(mask, out) for mask in regions.masks]
    return [((share - MEAN) / STD).astype(np.float32) for share in shares]


def alpha_tower(backbone: CLIPBackbone) -> DenseViT:
    """A copy of a CLIP's image tower with an alpha channel that does nothing yet.

    Raises:
        InputError: If it is not open_clip's own Vision Transformer.
    """
    tower = backbone.vit.tower
    if not isinstance(tower, OpenClipTower):
        raise InputError(
            f"Alpha-CLIP needs open_clip's own image tower, and {backbone.name} has another: "
            "choose a checkpoint whose tower is not timm's"
        )
    own: Any = copy.deepcopy(tower.visual)
    own.conv1 = AlphaConv(own.conv1)
    return DenseViT(own).eval()


def read_alpha(backbone: CLIPBackbone, path: str | Path) -> DenseViT:
    """The tower of a published checkpoint (``.pth``) or of one of our own (``.safetensors``).

    Args:
        backbone: The CLIP that it was trained from: its shape, activation and text tower.
        path: The file.

    Raises:
        InputError: If the file is missing, broken or unsafe, has no alpha channel, holds low-rank
            adapters, or belongs to another tower.
    """
    if Path(path).suffix == ".safetensors":
        found = read_safetensors(path)[0]
    else:
        found = state_dict(read_torch(path), path)
    found = {key.removeprefix("module."): value for key, value in found.items()}
    if any(key.startswith("visual.") for key in found):
        start = "visual."
        found = {k.removeprefix(start): v for k, v in found.items() if k.startswith(start)}
    if "conv1_alpha.weight" not in found:
        raise InputError(
            f"{path} is no Alpha-CLIP checkpoint: it has no conv1_alpha.weight; expected the "
            "image tower that its authors publish, or what `dense train` wrote for alpha-clip"
        )
    if any("lora_" in key for key in found):
        raise InputError(
            f"{path} holds low-rank adapters beside the weights: merge them into the weights, or "
            "take a fully tuned checkpoint (…_fultune_…)"
        )
    vit = alpha_tower(backbone)
    expected = vit.tower.visual.state_dict()
    state = {_our_name(key): value.float() for key, value in found.items()}
    check_fit(
        expected, state, f"the weights in {path} do not fit {backbone.name}",
        "choose as --model the CLIP that it was trained from, e.g. ViT-B-16 of openai",
    )  # fmt: skip
    vit.tower.visual.load_state_dict({k: state[k].to(v) for k, v in expected.items()})
    return vit


def save_alpha(path: str | Path, vit: DenseViT, notes: Mapping[str, str] | None = None) -> None:
    """Write a tower by the authors' names as safetensors, whole or not at all."""
    state = {
        _their_name(key): value.detach().cpu().contiguous()
        for key, value in vit.tower.visual.state_dict().items()
    }
    write_bytes(path, save(state, dict(notes or {})))


def _our_name(key: str) -> str:
    for theirs, ours in _NAMES:
        key = ours + key.removeprefix(theirs) if key.startswith(theirs) else key
    return key.replace("attn.in_proj.", "attn.in_proj_")


def _their_name(key: str) -> str:
    for theirs, ours in _NAMES:
        key = theirs + key.removeprefix(ours) if key.startswith(ours) else key
    return key.replace("attn.in_proj_", "attn.in_proj.")


def build(
    backbone: CLIPBackbone, *, weights: str | Path | None = None, **settings: Setting
) -> AlphaCLIP:
    """The catalogue's ``alpha-clip``; see `dense.methods.looking.base`.

    Raises:
        InputError: As `read_alpha`, or if there are no weights.
    """
    check_settings(lambda: None, settings)
    if weights is None:
        raise InputError(
            "alpha-clip needs learned parts: pass --weights FILE, published or made by "
            "configs/train/alpha_clip_embedded.py"
        )
    return AlphaCLIP(read_alpha(backbone, weights), Path(weights).name)
